//! Broken guests: each must end as the breach that it commits, and no other way.

use crate::{
    bench::{Bench, Prepared},
    hosted,
    outcome::{Exit, Expected},
    qemu::Line,
    report::{Ended, Report},
    scenario::{self, Boot, Variant},
};
use std::{fs, path::Path};
use tessera_guest::catalogue::Act;
use tessera_image_builder::image::{self, Inputs};

/// The act's name in listings.
pub fn name(act: &Act) -> String {
    format!("{}/{}", act.mode.name(), act.breach.name)
}

/// Boots `act` in an image of `inputs` with the program `guest` for a kernel. The error says
/// how it ended instead.
pub fn boot(bench: &Bench, inputs: &Inputs, guest: &[u8], act: &Act) -> Result<(), String> {
    let folder = tempfile::Builder::new().prefix("tessera-broken-").tempdir();
    let folder = folder.map_err(|error| format!("no temporary folder: {error}"))?;
    let image = Prepared {
        igvm: folder.path().join("broken.igvm"),
        ..Prepared::default()
    };
    let bytes = assemble(inputs, guest, act)?;
    fs::write(&image.igvm, bytes).map_err(|error| format!("cannot write the image: {error}"))?;
    let boot = Boot {
        mode: act.mode,
        scenario: &scenario::ALL[0],
        expected: Expected::Runs,
    };
    let line = hosted::line(bench, &image, &boot, folder.path(), false);
    judge(&ended(bench, &line, folder.path())?, act)
}

/// The one image, with the guest for a kernel and the act's name for a commit. Without a
/// paravisor, whose room is the guest's playground.
fn assemble(inputs: &Inputs, guest: &[u8], act: &Act) -> Result<Vec<u8>, String> {
    let inputs = Inputs {
        kernel_elf: guest.to_vec(),
        paravisor_elf: None,
        policy: Variant::Direct.policy(),
        commit: act.breach.name.into(),
        ..inputs.clone()
    };
    let image = image::assemble(&inputs).map_err(|failure| failure.to_string())?;
    Ok(image.igvm)
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

fn judge(ended: &Ended, act: &Act) -> Result<(), String> {
    let reason = ended.reason.as_deref().unwrap_or("no reason");
    if ended.end == "breach" && reason == act.breach.name {
        return Ok(());
    }
    Err(format!(
        "ended as {} ({reason}) at {:#x}, code {}",
        ended.end, ended.rip, ended.code
    ))
}

#[cfg(test)]
mod tests {
    use super::*;
    use tessera_guest::catalogue::ALL;

    #[test]
    fn only_the_named_breach_will_do() {
        let act = &ALL[0];
        let ended = |end: &str, reason: &str| Ended {
            end: end.into(),
            reason: Some(reason.into()),
            ..Ended::default()
        };
        assert_eq!(judge(&ended("breach", act.breach.name), act), Ok(()));
        assert!(judge(&ended("breach", "unhandled-exception"), act).is_err());
        assert!(judge(&ended("denied", act.breach.name), act).is_err());
    }
}
