//! The boot of mode `none` on plain QEMU, by the stub's PVH entry and without the test host.

use crate::{
    bench::{Bench, Prepared},
    hosted::CONSOLE,
    qemu::Line,
    scenario::Scenario,
};
use std::path::Path;

const MACHINE: [&str; 17] = [
    "-machine",
    "q35",
    "-accel",
    "tcg,thread=single",
    "-cpu",
    "max",
    "-icount",
    "shift=0,sleep=off",
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

/// QEMU for a direct boot of `scenario`; the console goes to `folder`.
pub fn line(bench: &Bench, image: &Prepared, scenario: &Scenario, folder: &Path) -> Line {
    let mut args: Vec<_> = MACHINE.iter().map(Into::into).collect();
    args.push(format!("{}M", scenario.memory).into());
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
