//! The command line of a boot on the test host.

use crate::{
    bench::{Bench, Prepared},
    qemu::{self, Line, Typed, option_path},
    scenario::{Boot, Scenario},
};
use std::{ffi::OsString, path::Path};
use tessera_defs::mode::{HostProfile, Mode};

/// The guest's console, in the folder of a boot.
pub const CONSOLE: &str = "console.txt";
/// The host's report.
pub const REPORT: &str = "report.jsonl";

/// Machine of the test host. Counting instructions makes every boot repeat exactly.
const MACHINE: [&str; 18] = [
    "-machine",
    "q35",
    "-accel",
    "tcg,thread=single",
    "-icount",
    "shift=0,sleep=off",
    "-rtc",
    "base=2026-01-01T00:00:00,clock=vm",
    "-cpu",
    "max,phys-bits=52",
    "-nodefaults",
    "-display",
    "none",
    "-no-reboot",
    "-device",
    "isa-debug-exit,iobase=0xf4,iosize=0x4",
    "-monitor",
    "none",
];

/// Memory of a boot's machine at the least, in MiB.
const MEMORY: u64 = 256;
/// What the host needs of it beside the guest's.
const HOST_MEMORY: u64 = 64;
/// What the host uses of a machine at most: a guest that has more meets its end where it touches more.
const MOST_MEMORY: u64 = 2048;

/// The machine's options, for a guest with so many MiB, and the seed of its random numbers.
pub fn machine(guest: u64, seed: u32) -> Vec<OsString> {
    let memory = (guest + HOST_MEMORY).clamp(MEMORY, MOST_MEMORY);
    let mut args: Vec<OsString> = MACHINE.iter().map(Into::into).collect();
    args.extend(["-m".into(), format!("{memory}M").into()]);
    args.extend(["-seed".into(), seed.to_string().into()]);
    args
}

/// QEMU for a boot; console and report go to `folder`.
pub fn line(bench: &Bench, image: &Prepared, boot: &Boot, folder: &Path, trace: bool) -> Line {
    let mut args = machine(boot.scenario.memory.into(), boot.scenario.seed);
    let mut add = |option: &str, value: String| args.extend([option.into(), value.into()]);
    add("-kernel", bench.host.to_string_lossy().into_owned());
    add(
        "-fw_cfg",
        format!("name=opt/tessera/igvm,file={}", option_path(&image.igvm)),
    );
    let words = scenario(image, boot, trace).replace(',', ",,");
    add(
        "-fw_cfg",
        format!("name=opt/tessera/scenario,string={words}"),
    );
    let typed = typed(boot.scenario);
    args.extend(qemu::console(&folder.join(CONSOLE), typed));
    let report = format!("file:{}", option_path(&folder.join(REPORT)));
    args.extend(["-serial".into(), report.into()]);
    Line {
        program: bench.qemu.clone(),
        args,
        typed,
    }
}

/// What a scenario types.
pub fn typed(scenario: &Scenario) -> Typed {
    match scenario.typed {
        "" => Typed::Nothing,
        text => Typed::Text(text),
    }
}

/// The scenario string.
fn scenario(image: &Prepared, boot: &Boot, trace: bool) -> String {
    let scenario = boot.scenario;
    let mut text = format!(
        "mode={} profile={} lie={} memory={}M smp={} messages=1",
        boot.mode.name(),
        scenario.profile.name(),
        scenario.lie,
        scenario.memory,
        scenario.processors,
    );
    if !scenario.words.is_empty() {
        text += &format!(" {}", scenario.words);
    }
    if !scenario.typed.is_empty() {
        text += " typed=1";
    }
    if !scenario.log.is_empty() {
        text += &format!(" log={}", scenario.log);
    }
    if !image.hash.is_empty() {
        text += &format!(" hash={}", image.hash);
    }
    if trace {
        text += " trace=1";
    }
    text
}

/// How many save areas an SNP launch measures. KVM gives the security processor one for every
/// processor; a Hyper-V-like loader only those of the file, which has one.
pub fn measured(profile: HostProfile, processors: u32) -> u32 {
    match profile {
        HostProfile::Kvm => processors,
        HostProfile::HyperV => 1,
    }
}

/// The launch digest that silicon must measure.
pub fn predicted(image: &Prepared, boot: &Boot) -> Option<String> {
    let processors = measured(boot.scenario.profile, boot.scenario.processors);
    match boot.mode {
        Mode::None => None,
        Mode::Snp | Mode::SnpParavisor => image.snp_digests.get(&processors).cloned(),
        Mode::Tdx | Mode::TdxParavisor => Some(image.tdx_mrtd.clone()),
    }
}
