//! Rows for people.

use crate::{failed, row::Row};
use std::fmt::Write;

/// The heading over the rows.
pub fn heading() -> String {
    format!(
        "{:<15} {:<24} {:<34} {:<6} {:>6} {:>8} {:>7} {:>12} {:>7}",
        "mode", "scenario", "outcome", "result", "lies", "accepted", "shared", "instructions", "ms"
    )
}

/// One row, without a line break.
pub fn line(row: &Row) -> String {
    format!(
        "{:<15} {:<24} {:<34} {:<6} {:>6} {:>8} {:>7} {:>12} {:>7}",
        row.boot.mode.name(),
        row.boot.scenario.name,
        row.outcome.name(),
        if row.passed() { "ok" } else { "FAILED" },
        row.lie_told + row.lie_stopped,
        row.pages_accepted,
        row.pages_shared,
        row.instructions,
        row.wall_ms
    )
}

/// What is wrong with a failed row and where to look; empty for a row that passed.
pub fn explanation(row: &Row) -> String {
    let mut text = String::new();
    for complaint in row.complaints() {
        let _infallible = writeln!(text, "  {complaint}");
    }
    if let (false, Some(rip)) = (row.passed(), row.rip) {
        let place = row.place.as_deref().unwrap_or("in no program");
        let _infallible = writeln!(text, "  guest's RIP: {rip:#x} ({place})");
    }
    if let Some(folder) = &row.kept {
        let _infallible = writeln!(text, "  files: {}", folder.display());
    }
    if !text.is_empty() {
        let _infallible = writeln!(text, "  again: {}", failed::replay(row));
    }
    text
}

/// The last line: how many passed.
pub fn summary(rows: &[Row]) -> String {
    let passed = rows.iter().filter(|row| row.passed()).count();
    let seconds = rows.iter().map(|row| row.wall_ms).sum::<u64>() as f64 / 1000.0;
    format!(
        "{passed} of {} boots ended as they must ({seconds:.1} s of boots)",
        rows.len()
    )
}
