//! The boot of mode `none` on plain QEMU, by the stub's PVH entry and without the test host.

use crate::{
    bench::{Bench, Prepared},
    hosted::{CONSOLE, typed},
    qemu::{self, Line},
    scenario::Scenario,
};
use std::path::Path;

const MACHINE: [&str; 11] = [
    "-machine",
    "q35",
    "-cpu",
    "max",
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
    args.extend(["-seed".into(), scenario.seed.to_string().into()]);
    let typed = typed(scenario);
    args.extend(qemu::console(&folder.join(CONSOLE), typed));
    Line {
        program: bench.qemu.clone(),
        args,
        typed,
    }
}
