//! The table's rows, of every boot, and what must hold of them.

use crate::{
    counts::{Counts, Told},
    figures::{self, Figure},
    peer::{self, Peer},
};
use serde::Serialize;
use std::collections::BTreeMap;
use tessera_defs::mode::Mode;

/// One row: what a figure came to in a mode.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Row {
    /// Name of the figure.
    pub figure: String,
    /// `none` is plain QEMU; `MODE-hosted` the test host.
    pub mode: String,
    /// The count.
    pub value: u64,
    /// Of what.
    pub unit: &'static str,
    /// The best that is known of others, taken in this run or recorded.
    pub peer: Option<&'static str>,
    /// What they need.
    pub peer_value: Option<u64>,
    /// What nobody can be below.
    pub limit: Option<u64>,
    /// How it is counted.
    pub method: &'static str,
    /// At most so much is wanted; asserted.
    #[serde(skip)]
    pub reach: Option<u64>,
}

/// Exits on the test host until ring 3 is left first.
pub const BOOT_EXITS: &str = "boot-exits";
const BOOT_METHOD: &str = "exits of the guest before its first one out of ring 3, by the test host";
/// The row of a class of exits that a paravisor serves, and what is wanted of it.
const SERVED: [(&str, &str, Option<u64>); 4] = [
    ("cpuid", "paravisor-cpuid", Some(1000)),
    ("msr", "paravisor-msr", None),
    ("io", "paravisor-port-io", None),
    ("timer", "paravisor-apic-timer", None),
];
const SERVED_METHOD: &str =
    "mean over the run; the test host stamps each exit and re-entry, without its own instructions";
/// Of a class of which a run has few, and where they come is the host's instructions' doing: a mean
/// over them would move with those.
const FEW: &str = "timer";
const FEW_METHOD: &str = "the least of the run; the test host stamps each exit and re-entry, without its own instructions";

/// `none-hosted`.
pub fn hosted(mode: Mode) -> String {
    format!("{}-hosted", mode.name())
}

/// The rows of the counting program.
pub fn instructions(mode: &str, counts: &Counts, peer: Option<&Peer>) -> Vec<Row> {
    let row = |figure: &'static Figure| {
        let value = *counts.get(figure.name)?;
        let taken = peer.and_then(|peer| peer.counts.get(figure.name));
        let recorded = figure.peer.map(|peer| (peer.name, peer.value));
        // What was taken in this run is shown, else what is recorded.
        let best = taken.map(|value| (peer::NAME, *value)).or(recorded);
        Some(Row {
            figure: figure.name.into(),
            mode: mode.into(),
            value,
            unit: "instructions",
            peer: best.map(|(name, _)| name),
            peer_value: best.map(|(_, value)| value),
            limit: figure.limit,
            method: figure.method,
            reach: (mode == "none").then_some(figure.reach),
        })
    };
    figures::ALL.iter().filter_map(row).collect()
}

/// The rows of the test host's own counts, in `mode`.
pub fn by_host(mode: Mode, told: &Told, peer: Option<&Peer>) -> Vec<Row> {
    let Some(ended) = &told.ended else {
        return Vec::new();
    };
    let boot = ended.boot.clone().unwrap_or_default().exits;
    let other = peer.filter(|_| mode == Mode::None);
    let other = other.and_then(|peer| peer.hosted.ended.as_ref()?.boot.as_ref());
    let other = other.map(|boot| &boot.exits);
    let reach = (mode == Mode::None).then_some(1000);
    let mut rows = exits(&hosted(mode), &boot, other, reach);
    for (class, figure, reach) in SERVED {
        let served = ended.served.get(class).copied().unwrap_or(0);
        let mean = |sum: &u64| sum.checked_div(served);
        let (spent, method) = match class {
            FEW => (ended.least.get(class).copied(), FEW_METHOD),
            _ => (ended.serving.get(class).and_then(mean), SERVED_METHOD),
        };
        if let Some(value) = spent {
            rows.push(Row {
                figure: figure.into(),
                mode: hosted(mode),
                value,
                unit: "instructions per exit",
                peer: None,
                peer_value: None,
                limit: None,
                method,
                reach,
            });
        }
    }
    rows
}

/// All exits, then each class of ours and the peer's.
fn exits(
    mode: &str,
    ours: &BTreeMap<String, u64>,
    other: Option<&BTreeMap<String, u64>>,
    reach: Option<u64>,
) -> Vec<Row> {
    let row = |figure: String, value: u64, other: Option<u64>, reach| Row {
        figure,
        mode: mode.into(),
        value,
        unit: "exits",
        peer: other.map(|_| peer::NAME),
        peer_value: other,
        limit: None,
        method: BOOT_METHOD,
        reach,
    };
    let sum = |exits: &BTreeMap<String, u64>| exits.values().sum();
    let mut rows = vec![row(BOOT_EXITS.into(), sum(ours), other.map(sum), reach)];
    let classes: std::collections::BTreeSet<_> = ours
        .keys()
        .chain(other.into_iter().flat_map(BTreeMap::keys))
        .collect();
    for class in classes {
        let of = |exits: &BTreeMap<String, u64>| exits.get(class).copied().unwrap_or(0);
        rows.push(row(
            format!("{BOOT_EXITS}-{class}"),
            of(ours),
            other.map(of),
            None,
        ));
    }
    rows
}

/// What does not hold, a sentence each: a row over its reach; a path that costs more where the
/// guest is isolated.
pub fn faults(rows: &[Row]) -> Vec<String> {
    let over = rows
        .iter()
        .filter(|row| row.reach.is_some_and(|most| row.value > most));
    let mut faults: Vec<_> = over
        .map(|row| {
            let most = row.reach.unwrap_or_default();
            let Row {
                figure,
                mode,
                value,
                unit,
                ..
            } = row;
            format!("{figure} ({mode}) came to {value} {unit}, at most {most} are wanted")
        })
        .collect();
    let plain = |figure: &str| {
        let found = rows
            .iter()
            .find(|row| row.mode == "none" && row.figure == figure);
        found.map(|row| row.value)
    };
    for row in rows.iter().filter(|row| row.mode.ends_with("-hosted")) {
        if let (true, Some(none)) = (is_path(&row.figure), plain(&row.figure))
            && row.value != none
        {
            let Row {
                figure,
                mode,
                value,
                ..
            } = row;
            faults.push(format!(
                "{figure} ({mode}) needs {value} instructions, {none} in none"
            ));
        }
    }
    faults
}

/// Paths on which nothing is asked of the host: neither the boot nor memory that is touched first.
fn is_path(figure: &str) -> bool {
    ["null-", "ipc-", "thread-"]
        .iter()
        .any(|start| figure.starts_with(start))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn counts(value: u64) -> Counts {
        Counts::from([("null-syscall".into(), value)])
    }

    #[test]
    fn a_path_must_cost_the_same_in_every_mode_and_stay_within_its_reach() {
        let mut rows = instructions("none", &counts(79), None);
        rows.extend(instructions("snp-hosted", &counts(79), None));
        assert!(faults(&rows).is_empty());
        rows.extend(instructions("tdx-hosted", &counts(80), None));
        assert_eq!(faults(&rows).len(), 1);
        let rows = instructions("none", &counts(81), None);
        assert!(faults(&rows)[0].contains("at most 80"), "{rows:?}");
    }

    #[test]
    fn a_count_taken_in_this_run_replaces_a_recorded_one() {
        let peer = Peer {
            counts: [("thread-switch".into(), 1700)].into(),
            ..Peer::default()
        };
        let mut ours = counts(79);
        ours.insert("thread-switch".into(), 124);
        let rows = instructions("none", &ours, Some(&peer));
        let of = |name: &str| rows.iter().find(|row| row.figure == name).unwrap();
        assert_eq!(of("null-syscall").peer_value, Some(74));
        assert_eq!(of("thread-switch").peer_value, Some(1700));
    }

    #[test]
    fn exits_are_listed_by_class_of_both() {
        let ours = BTreeMap::from([("cpuid".into(), 3), ("io".into(), 4)]);
        let other = BTreeMap::from([("msr".into(), 9)]);
        let rows = exits("none-hosted", &ours, Some(&other), Some(6));
        assert_eq!(rows.len(), 4);
        assert_eq!((rows[0].value, rows[0].peer_value), (7, Some(9)));
        assert_eq!(faults(&rows).len(), 1);
    }
}
