//! Rows for people and for programs.

use crate::{figures, rows::Row};
use std::fmt::Write;

/// What every table says of itself.
pub const NOTE: &str = "Counts under QEMU, not cycles: no cache, no TLB, no cost of an exit; real hardware differs. \
A peer other than Linux is recorded, and so is Linux without --peer linux.\n";

/// One JSON object a line.
pub fn json(rows: &[Row]) -> String {
    let lines = rows
        .iter()
        .filter_map(|row| serde_json::to_string(row).ok());
    lines.fold(String::new(), |text, line| text + &line + "\n")
}

/// A line a figure, a column a mode.
pub fn text(rows: &[Row]) -> String {
    let (modes, names) = (first(rows, |row| &row.mode), first(rows, |row| &row.figure));
    let mut text = format!("{:<52}", "figure");
    for mode in &modes {
        let _infallible = write!(text, " {:>13}", mode.replace("paravisor", "pv"));
    }
    let _infallible = writeln!(
        text,
        " {:>11} {:>18} {:>9}  unit",
        "at most", "peer", "limit"
    );
    for name in names {
        let of = || rows.iter().filter(|row| row.figure == name);
        let what = figures::of(name).map_or(name, |figure| figure.what);
        let _infallible = write!(text, "{what:<52}");
        for mode in &modes {
            let row = of().find(|row| row.mode == *mode);
            let _infallible = write!(text, " {:>13}", number(row.map(|row| row.value)));
        }
        let reach = number(of().find_map(|row| row.reach));
        let peer = of().find_map(|row| Some(format!("{} {}", row.peer?, row.peer_value?)));
        let limit = number(of().find_map(|row| row.limit));
        let unit = of().next().map_or("", |row| row.unit);
        let peer = peer.unwrap_or_default();
        let _infallible = writeln!(text, " {reach:>11} {peer:>18} {limit:>9}  {unit}");
    }
    text + NOTE
}

fn number(value: Option<u64>) -> String {
    value.map_or_else(|| "-".into(), |value| value.to_string())
}

/// Each value once, in order of appearance.
fn first<'a>(rows: &'a [Row], of: impl Fn(&'a Row) -> &'a str) -> Vec<&'a str> {
    let mut seen = Vec::new();
    for value in rows.iter().map(of) {
        if !seen.contains(&value) {
            seen.push(value);
        }
    }
    seen
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{counts::Counts, rows};

    #[test]
    fn a_figure_is_one_json_object_of_these_fields() {
        let counts = Counts::from([("null-syscall".into(), 53)]);
        let text = json(&rows::instructions("none", &counts, None));
        let row: serde_json::Value = serde_json::from_str(text.trim_end()).unwrap();
        let fields = row.as_object().unwrap().keys().map(String::as_str);
        let mut fields: Vec<_> = fields.collect();
        // Whether the parser keeps their order is a feature that others may switch on.
        fields.sort_unstable();
        assert_eq!(
            fields,
            [
                "figure",
                "limit",
                "method",
                "mode",
                "peer",
                "peer_value",
                "unit",
                "value"
            ]
        );
        assert_eq!(
            (&row["value"], &row["peer_value"]),
            (&53.into(), &74.into())
        );
        assert_eq!(text.lines().count(), 1);
    }

    #[test]
    fn the_table_has_a_column_a_mode_and_says_what_it_is_not() {
        let counts = Counts::from([("null-syscall".into(), 53)]);
        let mut all = rows::instructions("none", &counts, None);
        all.extend(rows::instructions("snp-hosted", &counts, None));
        let text = text(&all);
        assert_eq!(text.lines().count(), 3);
        assert!(
            text.contains("snp-hosted") && text.contains("not cycles"),
            "{text}"
        );
    }
}
