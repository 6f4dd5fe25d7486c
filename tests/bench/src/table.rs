//! Figures for people and for programs.

use crate::count::Counts;
use crate::figures::{self, Figure};
use serde::Serialize;
use std::fmt::Write;

/// One JSON line.
#[derive(Debug, Serialize)]
struct Row<'a> {
    figure: &'a str,
    mode: &'a str,
    value: u64,
    unit: &'a str,
    peer: Option<&'a str>,
    peer_value: Option<u64>,
    reach: u64,
    limit: Option<u64>,
    method: &'a str,
}

/// One line for each figure of each mode, in the order of the table.
pub fn json(modes: &[(String, Counts)]) -> String {
    let mut text = String::new();
    for (mode, counts) in modes {
        for (figure, value) in ordered(counts) {
            let row = Row {
                figure: figure.name,
                mode,
                value,
                unit: "instructions",
                peer: figure.peer.map(|peer| peer.name),
                peer_value: figure.peer.map(|peer| peer.value),
                reach: figure.reach,
                limit: figure.limit,
                method: figure.method,
            };
            let line = serde_json::to_string(&row).unwrap_or_default();
            let _infallible = writeln!(text, "{line}");
        }
    }
    text
}

/// The table. The first mode is the one that is compared with others.
pub fn text(modes: &[(String, Counts)]) -> String {
    let mut text = format!("{:<52}", "instructions");
    for (mode, _) in modes {
        let _infallible = write!(text, " {mode:>14}");
    }
    let _infallible = writeln!(text, " {:>14} {:>20}", "at most", "recorded elsewhere");
    for figure in figures::ALL {
        let _infallible = write!(text, "{:<52}", figure.what);
        for (_, counts) in modes {
            let value = counts.get(figure.name).map_or("-".into(), u64::to_string);
            let _infallible = write!(text, " {value:>14}");
        }
        let peer = figure
            .peer
            .map(|peer| format!("{} {}", peer.name, peer.value));
        let _infallible = writeln!(
            text,
            " {:>14} {:>20}",
            figure.reach,
            peer.unwrap_or_default()
        );
    }
    text
}

fn ordered(counts: &Counts) -> impl Iterator<Item = (&'static Figure, u64)> {
    let value = |figure: &'static Figure| Some((figure, *counts.get(figure.name)?));
    figures::ALL.iter().filter_map(value)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_figure_is_one_json_object_with_its_peer() {
        let counts = Counts::from([("null-syscall".into(), 53)]);
        let text = json(&[("none".into(), counts)]);
        let row: serde_json::Value = serde_json::from_str(text.trim_end()).unwrap();
        assert_eq!(
            (&row["value"], &row["peer_value"]),
            (&53.into(), &74.into())
        );
        assert_eq!(text.lines().count(), 1);
    }
}
