//! Broken guests: each must end as its act says, and no other way.

use crate::{
    bench::{Bench, Prepared},
    hosted,
    outcome::{Exit, Expected},
    qemu::Line,
    report::{Ended, Report},
    scenario::{self, Boot, Scenario, Variant},
};
use std::{
    fs,
    mem::offset_of,
    path::Path,
    sync::{LazyLock, OnceLock},
};
use tessera_defs::{
    mode::{HostProfile, Mode},
    snp::{status::features, vmsa::Vmsa},
    x86::efer,
};
use tessera_guest::catalogue::{self, Act, Ends, stands_as_l1};
use tessera_image_builder::{
    build::{PolicyName, Product, Recipe, Workspace, whole},
    image::{self, Inputs},
    setup::{self, Host, Qemu},
};

/// Reset value of the PAT MSR (APM vol. 2, 7.8.2).
const PAT: u64 = 0x0007_0406_0007_0406;
/// What stands for the reason of an end that has none.
const NO_REASON: &str = "no reason";

/// The act's name in listings.
pub fn name(act: &Act) -> String {
    format!("{}/{}", act.mode.name(), act.name)
}

/// Boots `act` in an image of `inputs` with the program `guest` for a kernel. The error says
/// how it ended instead.
pub fn boot(bench: &Bench, inputs: &Inputs, guest: &[u8], act: &Act) -> Result<(), String> {
    let (ended, console) = run(bench, inputs, guest, act.mode, act.name)?;
    let last = console.lines().last().unwrap_or("nothing");
    if catalogue::lie(act.name).is_some() && ended.lie_told + ended.lie_stopped == 0 {
        return Err("the host did not even try to lie".into());
    }
    judge(&ended, act.ends).map_err(|error| format!("{error}; it said last: {last}"))
}

/// Boots an image of `inputs` in `mode`, with `guest` for a kernel that does what `name` says:
/// how it ended, and its console.
pub fn run(
    bench: &Bench,
    inputs: &Inputs,
    guest: &[u8],
    mode: Mode,
    name: &str,
) -> Result<(Ended, String), String> {
    let folder = tempfile::Builder::new().prefix("tessera-broken-").tempdir();
    let folder = folder.map_err(|error| format!("no temporary folder: {error}"))?;
    let image = Prepared {
        igvm: folder.path().join("broken.igvm"),
        ..Prepared::default()
    };
    let bytes = assemble(inputs, guest, mode, name)?;
    fs::write(&image.igvm, bytes).map_err(|error| format!("cannot write the image: {error}"))?;
    let boot = Boot {
        mode,
        scenario: host(name)?,
        expected: Expected::Runs,
    };
    let line = hosted::line(bench, &image, &boot, folder.path(), false);
    let ended = ended(bench, &line, folder.path())?;
    let console = fs::read(folder.path().join(hosted::CONSOLE)).unwrap_or_default();
    Ok((ended, String::from_utf8_lossy(&console).into_owned()))
}

/// What is built once: bench, product, the guest's program. Panics where this machine cannot build.
pub fn built() -> &'static (Bench, Product, Vec<u8>) {
    static BUILT: OnceLock<(Bench, Product, Vec<u8>)> = OnceLock::new();
    BUILT.get_or_init(|| {
        let host = Host::current();
        let qemu = Qemu::detect(&host).require().expect("QEMU");
        let toolchain = setup::toolchain(&host).expect("a toolchain");
        let workspace = Workspace::find(&host).expect("the workspace");
        let recipe = Recipe::of(PolicyName::Demo);
        let product = whole(&toolchain, &workspace, &recipe, false).expect("a product");
        let bench = Bench::prepare(qemu, &workspace, &product).expect("a bench");
        let path = product.programs.only("tessera-guest").expect("the guest");
        let guest = fs::read(path).expect("the guest is readable");
        (bench, product, guest)
    })
}

/// Honest hosts of several processors, which wait for each other by PAUSE, an exit each.
static BUSY: LazyLock<[Scenario; 2]> = LazyLock::new(|| {
    [HostProfile::HyperV, HostProfile::Kvm].map(|profile| Scenario {
        name: "busy",
        profile,
        processors: 4,
        words: "max_exits=1000000",
        ..scenario::BASE
    })
});

/// Honest hosts that are asked wrongly on purpose.
static PROBED: LazyLock<[Scenario; 2]> = LazyLock::new(|| {
    [HostProfile::HyperV, HostProfile::Kvm].map(|profile| Scenario {
        name: "probed",
        profile,
        processors: 2,
        words: "probing=1 max_exits=1000000",
        ..scenario::BASE
    })
});

/// Hosts that lie about processors. A guest that waits in vain is ended soon.
static LYING: LazyLock<Vec<Scenario>> = LazyLock::new(|| {
    let all = catalogue::ALL
        .iter()
        .filter_map(|act| catalogue::lie(act.name));
    let host = |lie| Scenario {
        name: lie,
        lie,
        processors: 4,
        words: "max_instructions=300000000 max_exits=1000000",
        ..scenario::BASE
    };
    all.map(host).collect()
});

/// An honest host, unless the act is about a lie. For an L1 without a paravisor it shows no leaf that
/// could ask for one.
fn host(act: &str) -> Result<&'static Scenario, String> {
    if let Some(lie) = catalogue::lie(act) {
        let found = LYING.iter().find(|scenario| scenario.lie == lie);
        return found.ok_or_else(|| format!("no host tells `{lie}`"));
    }
    let name = match act {
        catalogue::PROCESSORS => return Ok(&BUSY[0]),
        catalogue::PROCESSORS_KVM => return Ok(&BUSY[1]),
        catalogue::CONFORMANCE => return Ok(&PROBED[0]),
        catalogue::CONFORMANCE_KVM => return Ok(&PROBED[1]),
        _ if stands_as_l1(act) => "friendly-kvm",
        _ => "friendly",
    };
    let found = scenario::ALL.iter().find(|scenario| scenario.name == name);
    found.ok_or_else(|| format!("there is no scenario `{name}`"))
}

/// The one image, with the guest for a kernel and a name for a commit. Where no paravisor is to
/// run there is none, and its room is the guest's playground.
fn assemble(inputs: &Inputs, guest: &[u8], mode: Mode, name: &str) -> Result<Vec<u8>, String> {
    let below = matches!(mode, Mode::SnpParavisor | Mode::TdxParavisor) && !stands_as_l1(name);
    let variant = if below {
        Variant::Paravisor
    } else {
        Variant::Direct
    };
    let inputs = Inputs {
        kernel_elf: guest.to_vec(),
        paravisor_elf: inputs.paravisor_elf.clone().filter(|_| below),
        policy: variant.policy(),
        commit: name.into(),
        ..inputs.clone()
    };
    let image = image::assemble(&inputs).map_err(|failure| failure.to_string())?;
    let mut bytes = image.igvm;
    let more = catalogue::launch_features(name);
    if more != 0 {
        let area = save_area(&bytes).ok_or("the image has not one save area")?;
        bytes[area + offset_of!(Vmsa, sev_features)] |= more as u8;
    }
    Ok(bytes)
}

/// Where the one save area stands in the file: SEV_FEATURES, PAT and EFER.SVME tell it. The file's checksum
/// covers headers only.
fn save_area(bytes: &[u8]) -> Option<usize> {
    let word = |at: usize| Some(u64::from_le_bytes(bytes.get(at..at + 8)?.try_into().ok()?));
    let is = |at: &usize| {
        word(at + offset_of!(Vmsa, sev_features)) == Some(features::SNP_ACTIVE)
            && word(at + offset_of!(Vmsa, g_pat)) == Some(PAT)
            && word(at + offset_of!(Vmsa, efer)).is_some_and(|value| value & efer::SVME != 0)
    };
    let mut found = (0..bytes.len()).filter(is);
    found.next().filter(|_| found.next().is_none())
}

fn ended(bench: &Bench, line: &Line, folder: &Path) -> Result<Ended, String> {
    let exit = line
        .run(&folder.join("qemu.txt"), bench.limit)
        .map_err(|error| format!("cannot run QEMU: {error}"))?;
    if exit == Exit::TimedOut {
        return Err("no end within the time limit".into());
    }
    let bytes = fs::read(folder.join(hosted::REPORT)).unwrap_or_default();
    let report = Report::parse(&String::from_utf8_lossy(&bytes))?;
    let error = report.host_error.unwrap_or_else(|| format!("{exit:?}"));
    report
        .ended
        .ok_or_else(|| format!("the report has no end: {error}"))
}

fn judge(ended: &Ended, ends: Ends) -> Result<(), String> {
    let wanted = match ends {
        Ends::Breach(breach) => ("breach", breach.name),
        Ends::Refusal(refusal) => ("refused", refusal.name()),
        Ends::Denied(lie) => ("denied", lie),
        Ends::Shutdown => ("shutdown", NO_REASON),
    };
    let reason = ended.reason.as_deref().unwrap_or(NO_REASON);
    if (ended.end.as_str(), reason) == wanted {
        return Ok(());
    }
    Err(format!(
        "ended as {} ({reason}) at {:#x}, code {}, not as {} ({})",
        ended.end, ended.rip, ended.code, wanted.0, wanted.1
    ))
}

#[cfg(test)]
mod tests {
    use super::*;
    use tessera_defs::{breach, refusal::Refusal};

    #[test]
    fn only_the_named_end_will_do() {
        let ended = |end: &str, reason: &str| Ended {
            end: end.into(),
            reason: Some(reason.into()),
            ..Ended::default()
        };
        let ends = Ends::Breach(&breach::DOUBLE_VALIDATION);
        assert_eq!(judge(&ended("breach", "double-validation"), ends), Ok(()));
        assert!(judge(&ended("breach", "unhandled-exception"), ends).is_err());
        assert!(judge(&ended("denied", "double-validation"), ends).is_err());
        let ends = Ends::Refusal(Refusal::LowerExitInvalid);
        assert_eq!(judge(&ended("refused", "lower-exit-invalid"), ends), Ok(()));
        assert!(judge(&ended("refused", "unexpected-vc"), ends).is_err());
        assert!(judge(&ended("breach", "lower-exit-invalid"), ends).is_err());
        let off = Ended {
            end: "shutdown".into(),
            ..Ended::default()
        };
        assert_eq!(judge(&off, Ends::Shutdown), Ok(()));
        assert!(judge(&off, ends).is_err());
        assert!(judge(&ended("refused", NO_REASON), Ends::Shutdown).is_err());
    }
}
