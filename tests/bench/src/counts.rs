//! What one boot told.

use crate::machine;
use std::{collections::BTreeMap, fs, io, path::Path};
use tessera_image_builder::{Failure, Result};
use tessera_matrix::{
    hosted::{CONSOLE, REPORT},
    outcome::Exit,
    qemu::Line,
    report::{Ended, Report},
};

/// Counts by name, as the counting program printed them.
pub type Counts = BTreeMap<String, u64>;

/// One boot.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Told {
    /// By the counting program.
    pub counts: Counts,
    /// By the test host, where it was one's boot.
    pub ended: Option<Ended>,
}

/// Makes a boot in a folder of its own; `whole` is what the console must say of its end.
pub fn boot(
    what: &str,
    whole: &str,
    run: impl FnOnce(&Path) -> (Line, io::Result<Exit>),
) -> Result<Told> {
    let folder = tempfile::tempdir()
        .map_err(|error| Failure::io("create a folder in", &std::env::temp_dir(), &error))?;
    let (line, exit) = run(folder.path());
    let exit = exit.map_err(|error| Failure::io("start", &line.program, &error))?;
    let text = |name: &str| {
        let bytes = fs::read(folder.path().join(name)).unwrap_or_default();
        String::from_utf8_lossy(&bytes).into_owned()
    };
    let (console, report) = (text(CONSOLE), text(REPORT));
    let counts = parse(&console);
    // The guest turned a plain machine off, or the test host ended.
    let ended = [Exit::Status(0), Exit::Status(1)].contains(&exit);
    let ended = ended && console.contains(whole) && !counts.is_empty();
    let said = Report::parse(&report).map(|report| report.ended);
    match (ended, said) {
        (true, Ok(ended)) => Ok(Told { counts, ended }),
        (_, said) => {
            let last = console.lines().last().unwrap_or("nothing");
            let host = said.err().unwrap_or_default();
            let cause = format!(
                "the counting boot ({what}) ended with {exit:?}, its last line: {last} {host}"
            );
            Err(Failure::image(cause, format!("again: {}", line.shell())))
        }
    }
}

/// A boot on plain QEMU.
pub fn plain(what: &str, qemu: &Path, guest: &machine::Guest<'_>, whole: &str) -> Result<Counts> {
    let told = boot(what, whole, |folder| {
        let line = machine::line(qemu, guest, folder);
        let exit = machine::run(&line, guest.last_word, folder, tessera_matrix::bench::LIMIT);
        (line, exit)
    })?;
    Ok(told.counts)
}

/// `bench: NAME VALUE` lines, wherever a kernel's own words put them.
fn parse(console: &str) -> Counts {
    let lines = console
        .lines()
        .filter_map(|line| line.trim_end().split_once("bench: "));
    lines
        .filter_map(|(_, words)| {
            let (name, value) = words.split_once(' ')?;
            Some((name.to_owned(), value.parse().ok()?))
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_are_read_and_others_ignored() {
        let counts = parse("noise\nbench: null-syscall 53\r\nbench: failed: TimedOut\nbench: x\n");
        assert_eq!(counts, Counts::from([("null-syscall".into(), 53)]));
    }
}
