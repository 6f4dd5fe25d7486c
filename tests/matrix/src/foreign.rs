//! A guest that others wrote, on the test host.

use crate::{
    hosted::{CONSOLE, REPORT},
    qemu::{Line, Typed, option_path},
    report::{Ended, Report},
};
use std::{
    fmt::Write,
    path::{Path, PathBuf},
};
use tessera_defs::mode::{HostProfile, Mode};

/// Limits of the host on a guest that has no end of its own.
const MOST_EXITS: u64 = 1 << 40;

/// What to run.
#[derive(Debug, Clone)]
pub struct Guest {
    /// The IGVM file.
    pub igvm: PathBuf,
    /// What the host offers.
    pub mode: Mode,
    /// How the host looks.
    pub profile: HostProfile,
    /// Memory in MiB, even.
    pub memory: u64,
    /// Processors that are claimed.
    pub processors: u32,
    /// Standard input is typed at the guest's console.
    pub input: bool,
    /// Instructions after which the host calls it a hang.
    pub most_instructions: u64,
}

/// QEMU for it; console and report go to `folder`. The console is QEMU's standard output too.
pub fn line(qemu: &Path, host: &Path, guest: &Guest, folder: &Path, trace: bool) -> Line {
    let mut args: Vec<_> = crate::hosted::machine(guest.memory, 1);
    let mut add = |option: &str, value: String| args.extend([option.into(), value.into()]);
    add("-kernel", host.to_string_lossy().into_owned());
    let file = option_path(&guest.igvm);
    add("-fw_cfg", format!("name=opt/tessera/igvm,file={file}"));
    let words = format!(
        "mode={} profile={} memory={}M smp={} sept_ve_disable=1 typed={} max_exits={MOST_EXITS} max_instructions={}{}",
        guest.mode.name(),
        guest.profile.name(),
        guest.memory,
        guest.processors,
        u8::from(guest.input),
        guest.most_instructions,
        if trace { " trace=1" } else { "" },
    );
    add(
        "-fw_cfg",
        format!("name=opt/tessera/scenario,string={words}"),
    );
    let log = option_path(&folder.join(CONSOLE));
    add("-chardev", format!("stdio,id=console,logfile={log}"));
    add("-serial", "chardev:console".into());
    add("-serial", format!("file:{}", folder.join(REPORT).display()));
    Line {
        program: qemu.to_owned(),
        args,
        typed: Typed::Nothing,
    }
}

/// How it went, for people. The flag: it went off by itself, and broke nothing.
pub fn describe(report: &Result<Report, String>) -> (String, bool) {
    let ended = match report {
        Ok(Report {
            ended: Some(ended), ..
        }) => ended,
        Ok(Report {
            host_error: Some(error),
            ..
        }) => return (format!("the host: {error}\n"), false),
        Ok(_) => return ("the run was cut off: the report has no end\n".into(), false),
        Err(words) => {
            return (
                format!("the host's report cannot be read: {words}\n"),
                false,
            );
        }
    };
    let mut text = String::new();
    let reason = ended.reason.as_deref().map(|words| format!(" ({words})"));
    let mut say =
        |what: &str, words: &str| writeln!(text, "{what:<14} {words}").unwrap_or_default();
    say(
        "end",
        &format!("{}{}", ended.end, reason.unwrap_or_default()),
    );
    if ended.end != "shutdown" {
        say(
            "at",
            &format!(
                "rip {:#x}, set {}, code {:#x}",
                ended.rip, ended.set, ended.code
            ),
        );
        let infos = format!("infos {:#x}, {:#x}", ended.info1, ended.info2);
        say("last exit", &infos);
    }
    say("instructions", &ended.instructions.to_string());
    say("exits", &exits(ended));
    let pages = format!(
        "{} accepted, {} shared",
        ended.pages_accepted, ended.pages_shared
    );
    say("pages", &pages);
    if !ended.operations.is_empty() {
        say("operations", &ended.operations.join(" "));
    }
    for (name, missed) in &ended.unimplemented {
        let mut words = format!("{name}: {} times, first at {:#x}", missed.count, missed.rip);
        if missed.fields != [0; 4] {
            let fields = missed.fields.map(|field| format!("{field:#x}"));
            words += &format!(", fields {}", fields.join(" "));
        }
        say("unimplemented", &words);
    }
    (text, ended.end == "shutdown")
}

/// The first request that neither the vendor's nor Hyper-V's interface has here: a guest that makes one is
/// not at home on this host, however it ends. Absent devices and registers are none.
pub fn unsupported(report: &Result<Report, String>) -> Option<String> {
    let ended = report.as_ref().ok()?.ended.as_ref()?;
    let interface = |name: &str| {
        let mut kinds = ["ghcb ", "tdvmcall ", "hypercall "].iter();
        kinds.any(|kind| name.starts_with(kind))
    };
    let mut all = ended.unimplemented.iter();
    let (name, missed) = all.find(|(name, _)| interface(name))?;
    let fields = missed.fields.map(|field| format!("{field:#x}")).join(" ");
    let rip = missed.rip;
    Some(format!(
        "the guest made an unsupported request: {name} at rip {rip:#x}, fields {fields}"
    ))
}

fn exits(ended: &Ended) -> String {
    let total: u64 = ended.exits.values().sum();
    let classes: Vec<_> = ended
        .exits
        .iter()
        .map(|(class, count)| format!("{class} {count}"))
        .collect();
    format!("{total}: {}", classes.join(", "))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::report::Missed;

    #[test]
    fn an_unsupported_request_is_named_with_its_place_and_fields() {
        let missed = Missed {
            count: 2,
            rip: 0x4000,
            fields: [0x8000_7777, 1, 2, 3],
        };
        let report = |name: &str| {
            let ended = Ended {
                end: "shutdown".into(),
                unimplemented: [(name.to_owned(), missed)].into(),
                ..Ended::default()
            };
            Ok(Report {
                ended: Some(ended),
                ..Report::default()
            })
        };
        let words = unsupported(&report("ghcb 0x80007777")).unwrap();
        assert!(words.contains("ghcb 0x80007777 at rip 0x4000, fields 0x80007777 0x1 0x2 0x3"));
        assert!(
            describe(&report("ghcb 0x80007777"))
                .0
                .contains("fields 0x80007777")
        );
        // An absent device is no breach of an interface.
        assert_eq!(unsupported(&report("in 0xcf8")), None);
    }
}
