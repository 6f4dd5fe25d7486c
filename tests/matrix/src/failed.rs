//! What a failed boot leaves: console, report, exit trace, command line, and how to replay it.

use crate::{
    bench::{Bench, Prepared},
    hosted::{self, CONSOLE, REPORT},
    qemu::Line,
    row::Row,
};
use std::{
    fs, io,
    path::{Path, PathBuf},
};

/// What QEMU itself printed.
pub const MESSAGES: &str = "qemu.txt";

/// Copies the files of a failed boot to `<failed>/<mode>-<scenario>`, boots once more for the
/// exit trace (every boot repeats exactly), and returns the folder.
pub fn keep(
    bench: &Bench,
    image: &Prepared,
    row: &Row,
    line: &Line,
    from: &Path,
) -> io::Result<PathBuf> {
    let folder = bench.failed.join(row.boot.name());
    if folder.exists() {
        fs::remove_dir_all(&folder)?;
    }
    fs::create_dir_all(&folder)?;
    for name in [CONSOLE, REPORT, MESSAGES] {
        if from.join(name).exists() {
            fs::copy(from.join(name), folder.join(name))?;
        }
    }
    let here = from.display().to_string();
    let command = line.shell().replace(&here, &folder.display().to_string());
    fs::write(folder.join("command.txt"), command + "\n")?;
    fs::write(folder.join("replay.txt"), replay(row) + "\n")?;
    fs::write(
        folder.join("complaints.txt"),
        row.complaints().join("\n") + "\n",
    )?;
    if !row.boot.scenario.direct {
        trace(bench, image, row, &folder)?;
    }
    Ok(folder)
}

/// The line that boots the same again.
pub fn replay(row: &Row) -> String {
    let boot = &row.boot;
    format!(
        "cargo run -- matrix --mode {} --scenario {}",
        boot.mode.name(),
        boot.scenario.name
    )
}

fn trace(bench: &Bench, image: &Prepared, row: &Row, folder: &Path) -> io::Result<()> {
    let again = tempfile::Builder::new()
        .prefix("tessera-trace-")
        .tempdir()?;
    let line = hosted::line(bench, image, &row.boot, again.path(), true);
    line.run(&again.path().join(MESSAGES), bench.limit)?;
    let report = again.path().join(REPORT);
    if report.exists() {
        fs::copy(report, folder.join("trace.jsonl"))?;
    }
    Ok(())
}
