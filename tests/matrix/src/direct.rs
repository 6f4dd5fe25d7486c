//! The boot of mode `none` on plain QEMU, by the stub's PVH entry and without the test host.

use crate::{
    bench::{Bench, Prepared},
    hosted::CONSOLE,
    qemu::Line,
    scenario::Scenario,
};
use std::path::Path;

const MACHINE: [&str; 13] = [
    "-machine",
    "q35",
    "-cpu",
    "max",
    "-seed",
    "1",
    "-nodefaults",
    "-display",
    "none",
    "-no-reboot",
    "-monitor",
    "none",
    "-m",
];

/// One processor counts instructions as time; several run at the same time.
const ONE: [&str; 4] = [
    "-accel",
    "tcg,thread=single",
    "-icount",
    "shift=0,sleep=off",
];
const SEVERAL: [&str; 2] = ["-accel", "tcg,thread=multi"];

/// QEMU for a direct boot of `scenario`; the console goes to `folder`.
pub fn line(bench: &Bench, image: &Prepared, scenario: &Scenario, folder: &Path) -> Line {
    let mut args: Vec<_> = MACHINE.iter().map(Into::into).collect();
    args.push(format!("{}M", scenario.memory).into());
    let how: &[&str] = match scenario.processors {
        1 => &ONE,
        _ => &SEVERAL,
    };
    args.extend(how.iter().map(Into::into));
    args.extend(["-smp".into(), scenario.processors.to_string().into()]);
    if !scenario.log.is_empty() {
        args.extend(["-append".into(), format!("log={}", scenario.log).into()]);
    }
    args.extend(["-kernel".into(), bench.stub.clone().into_os_string()]);
    args.extend(["-initrd".into(), image.igvm.clone().into_os_string()]);
    let console = format!("file:{}", folder.join(CONSOLE).display());
    args.extend(["-serial".into(), console.into()]);
    Line {
        program: bench.qemu.clone(),
        args,
    }
}
