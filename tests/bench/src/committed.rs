//! The committed table, and what has become worse since.

use crate::rows::Row;
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

    /// What is worse or missing, a sentence each.
    pub fn regressions(&self, rows: &[Row]) -> Vec<String> {
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
    use crate::{counts::Counts, rows};

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
