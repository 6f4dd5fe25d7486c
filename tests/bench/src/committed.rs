//! The committed table, and what has become worse since.

use crate::rows::{self, Row};
use serde::Deserialize;
use std::collections::BTreeMap;
use tessera_image_builder::{Failure, Result};

/// Over the committed value by more than this share of it is a regression: one in fifty, 2 %.
const TOLERANCE: u64 = 50;

/// `committed.toml`: what one toolchain's build needed.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Committed {
    /// `rustc -vV` of the compiler of the counted build.
    pub rustc: String,
    /// Values by mode, then by figure.
    pub mode: BTreeMap<String, BTreeMap<String, u64>>,
}

impl Committed {
    /// The table of this repository.
    pub fn load() -> Result<Self> {
        let text = include_str!("../committed.toml");
        toml::from_str(text).map_err(|error| {
            let cause = format!("tests/bench/committed.toml: {}", error.message());
            Failure::image(cause, "correct it")
        })
    }

    /// What is worse or missing, and what was counted that nobody committed, a sentence each.
    pub fn regressions(&self, rows: &[Row]) -> Vec<String> {
        let unknown = rows.iter().filter(|row| {
            let values = self.mode.get(&row.mode);
            values.is_none_or(|values| !values.contains_key(&row.figure))
        });
        let unknown = unknown.map(|row| {
            let Row {
                figure,
                mode,
                value,
                ..
            } = row;
            format!("{figure} ({mode}) came to {value} and is not in committed.toml: add it")
        });
        let mut faults = self.worse(rows);
        faults.extend(unknown);
        faults
    }

    fn worse(&self, rows: &[Row]) -> Vec<String> {
        let values = self.mode.iter().flat_map(|(mode, values)| {
            values
                .iter()
                .map(move |(figure, value)| (mode, figure, *value))
        });
        values
            .filter_map(|(mode, figure, committed)| {
                let row = rows
                    .iter()
                    .find(|row| row.mode == *mode && row.figure == *figure);
                match row {
                    // No exit of a class any more.
                    None if figure.starts_with(rows::BOOT_EXITS) => None,
                    None => Some(format!("{figure} ({mode}) was not counted")),
                    Some(row) if row.value > committed + committed / TOLERANCE => Some(format!(
                        "{figure} ({mode}) needs {} {}, committed are {committed}",
                        row.value, row.unit
                    )),
                    Some(_) => None,
                }
            })
            .collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::counts::Counts;

    #[test]
    fn only_more_than_two_percent_is_worse_and_the_row_is_named() {
        let values = BTreeMap::from([("null-syscall".to_owned(), 100)]);
        let committed = Committed {
            rustc: "r".into(),
            mode: [("none".to_owned(), values)].into(),
        };
        let rows = |value| {
            let counts = Counts::from([("null-syscall".into(), value)]);
            rows::instructions("none", &counts, None)
        };
        assert!(committed.regressions(&rows(102)).is_empty());
        let worse = committed.regressions(&rows(103));
        assert!(
            worse[0].starts_with("null-syscall (none) needs 103"),
            "{worse:?}"
        );
        assert_eq!(committed.regressions(&[]).len(), 1);
    }

    #[test]
    fn a_row_of_any_mode_that_nobody_committed_is_named_and_a_class_of_exits_may_go() {
        let values = BTreeMap::from([("boot-exits-io".to_owned(), 7)]);
        let committed = Committed {
            rustc: "r".into(),
            mode: [("none-hosted".to_owned(), values)].into(),
        };
        assert!(committed.regressions(&[]).is_empty());
        let counts = Counts::from([("null-syscall".into(), 62)]);
        let faults = committed.regressions(&rows::instructions("tdx-hosted", &counts, None));
        assert!(
            faults[0].starts_with("null-syscall (tdx-hosted) came to 62"),
            "{faults:?}"
        );
        assert_eq!(faults.len(), 1);
    }

    #[test]
    fn every_figure_is_committed_and_within_its_reach() {
        let committed = Committed::load().unwrap();
        for figure in crate::figures::ALL {
            let value = committed.mode["none"].get(figure.name);
            assert!(
                value.is_some_and(|value| *value <= figure.reach),
                "{}",
                figure.name
            );
        }
    }
}
