//! `tessera host`: somebody else's guest on the test host.

use super::{
    linux::{self, Parts},
    run::{text, watch_on},
    say,
    terminal::Terminal,
};
use crate::args::Foreign;
use std::{fs, path::Path, process::Stdio, time::Duration};
use tessera_defs::mode::HostProfile;
use tessera_image_builder::{
    Failure, Party, Result,
    build::{self, PolicyName, Programs, Recipe, Workspace},
    image::{brings, slurp},
    linux::{debian, initramfs},
    setup::{self, Host, Qemu},
};
use tessera_matrix::{
    foreign::{self, Guest},
    hosted::REPORT,
    report::Report,
};

/// The guest has all the time that it wants; Ctrl-C ends it.
const UNHURRIED: Duration = Duration::from_secs(24 * 3600);
/// Kernel messages on COM1, and off at once after a panic.
const APPEND: &str = "console=ttyS0 panic=-1";
/// What a guest may have at most, in MiB; the host holds what it touches (decision 027).
const MOST_MEMORY: u64 = 256 << 10;

/// Runs it to its end. Fails where it does not go off by itself.
pub fn run(host: &Host, options: &Foreign) -> Result<()> {
    let mode = build::mode(&options.mode)?;
    let profile = profile(&options.profile)?;
    let memory = memory(&options.memory)?;
    if let Some(igvm) = &options.igvm {
        brings(&slurp(igvm)?, mode)?;
    }
    let qemu = Qemu::detect(host).require()?;
    let folder = tempfile::tempdir().map_err(|error| {
        Failure::machine(format!("no temporary folder: {error}"), "check TMPDIR")
    })?;
    let packed = folder.path().join("guest.igvm");
    let programs = match (&options.linux, &options.igvm) {
        (Some(kernel), _) => pack(host, options, kernel, &packed)?,
        _ => programs(host, options.offline)?,
    };
    let igvm = options.igvm.clone().unwrap_or(packed);
    let guest = Guest {
        igvm,
        mode,
        profile,
        memory,
        processors: options.smp,
        input: true,
        most_instructions: u64::MAX >> 1,
    };
    let bare = programs.only("tessera-test-host")?;
    let line = foreign::line(&qemu, bare, &guest, folder.path(), options.trace.is_some());
    let terminal = Terminal::remember(host);
    watch_on(Some(Stdio::inherit()), &line, folder.path(), UNHURRIED)?;
    drop(terminal);
    let report = text(folder.path(), REPORT);
    if options.trace.is_some() {
        say(&report)?;
    }
    let report = Report::parse(&report);
    let (words, off) = foreign::describe(&report);
    eprint!("\n{words}");
    if let Some(request) = foreign::unsupported(&report) {
        let remedy = "see tests/host/README.md for what the test host models";
        return Err(Failure::new(Party::Guest, request, remedy));
    }
    match off {
        true => Ok(()),
        false => Err(Failure::new(
            Party::Guest,
            "the guest did not go off by itself",
            "see the report above; `tessera explain NAME` explains a breach or a refusal",
        )),
    }
}

fn pack(host: &Host, options: &Foreign, kernel: &Path, to: &Path) -> Result<Programs> {
    // Before anything is fetched or built.
    tessera_image_builder::linux::parse(&slurp(kernel)?)?;
    let parts = Parts {
        kernel,
        initrd: initrd(host, options)?,
        append: options.append.as_deref().unwrap_or(APPEND),
    };
    let recipe = Recipe::of(PolicyName::Demo);
    let (image, programs) = linux::pack(host, parts, &recipe, options.offline)?;
    fs::write(to, &image.igvm).map_err(|error| Failure::io("write", to, &error))?;
    Ok(programs)
}

/// The user's, or a shell.
fn initrd(host: &Host, options: &Foreign) -> Result<Vec<u8>> {
    if let Some(path) = &options.initrd {
        return slurp(path);
    }
    let stock =
        debian::stock(host, &debian::LINUX_6_12, options.offline).map_err(|failure| Failure {
            remedy: format!("name an initrd with --initrd, or: {}", failure.remedy),
            ..failure
        })?;
    initramfs(&stock)
}

fn programs(host: &Host, offline: bool) -> Result<Programs> {
    let toolchain = setup::toolchain(host)?;
    build::programs(&toolchain, &Workspace::find(host)?, offline)
}

fn profile(name: &str) -> Result<HostProfile> {
    [HostProfile::HyperV, HostProfile::Kvm]
        .into_iter()
        .find(|profile| profile.name() == name)
        .ok_or_else(|| {
            let cause = format!("there is no profile `{name}`");
            Failure::user(cause, "use hyperv or kvm")
        })
}

/// Memory in MiB.
fn memory(text: &str) -> Result<u64> {
    let number = |digits: &str, unit: u64| Some(digits.parse::<u64>().ok()?.saturating_mul(unit));
    let size = text
        .strip_suffix('M')
        .and_then(|digits| number(digits, 1))
        .or_else(|| number(text.strip_suffix('G')?, 1024));
    size.filter(|size| (16..=MOST_MEMORY).contains(size) && size.is_multiple_of(2))
        .ok_or_else(|| {
            let cause = format!("`{text}` is no memory size that the test host can give");
            let remedy = format!("use an even number of MiB from 16M to {MOST_MEMORY}M");
            Failure::user(cause, remedy)
        })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_are_understood() {
        assert_eq!(
            (memory("512M").unwrap(), memory("1G").unwrap()),
            (512, 1024)
        );
        for wrong in [
            "512",
            "257G",
            "15M",
            "17M",
            "xM",
            "99999999999999999999M",
            "",
        ] {
            assert!(memory(wrong).is_err(), "{wrong}");
        }
    }
}
