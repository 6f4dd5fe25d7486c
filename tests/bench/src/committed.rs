//! The committed table, and what has become worse since.

use crate::count::Counts;
use serde::Deserialize;
use std::collections::BTreeMap;
use tessera_image_builder::{Failure, Result};

/// Over the committed value by more than this share of it is a regression: one in fifty, 2 %.
const TOLERANCE: u64 = 50;

/// `committed.toml`: what one toolchain's build needed.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Committed {
    /// First line of `rustc -vV` of the compiler of the counted build, and its commit.
    pub rustc: String,
    /// Instructions by figure, in mode `none`, on plain QEMU.
    pub none: BTreeMap<String, u64>,
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
    pub fn regressions(&self, counts: &Counts) -> Vec<String> {
        let mut worse = Vec::new();
        for (name, committed) in &self.none {
            match counts.get(name) {
                None => worse.push(format!("{name} was not counted")),
                Some(value) if *value > committed + committed / TOLERANCE => worse.push(format!(
                    "{name} needs {value} instructions, committed are {committed}"
                )),
                Some(_) => {}
            }
        }
        worse
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_more_than_two_percent_is_worse() {
        let committed = Committed {
            rustc: "r".into(),
            none: [("a".to_owned(), 100), ("b".to_owned(), 100)].into(),
        };
        let counts = |a| Counts::from([("a".into(), a), ("b".into(), 90)]);
        assert!(committed.regressions(&counts(102)).is_empty());
        assert_eq!(committed.regressions(&counts(103)).len(), 1);
        assert_eq!(committed.regressions(&Counts::new()).len(), 2);
    }

    #[test]
    fn every_committed_figure_exists_and_is_within_its_reach() {
        let committed = Committed::load().unwrap();
        for figure in crate::figures::ALL {
            assert!(committed.none.contains_key(figure.name), "{}", figure.name);
        }
        for (name, value) in &committed.none {
            let figure = crate::figures::of(name).expect("a figure of the table");
            assert!(
                *value <= figure.reach,
                "{name}: {value} of {}",
                figure.reach
            );
        }
    }
}
