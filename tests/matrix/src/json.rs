//! Rows for programs: one object a line.

use crate::row::Row;
use serde::Serialize;
use std::collections::BTreeMap;

/// Version of the schema.
pub const SCHEMA: u32 = 1;

#[derive(Serialize)]
struct Object<'a> {
    schema: u32,
    mode: &'a str,
    scenario: &'a str,
    expected: String,
    outcome: String,
    reason: Option<String>,
    passed: bool,
    faults: &'a [String],
    file_sha256: &'a str,
    kernel_sha256: Option<&'a String>,
    stub_sha256: Option<&'a String>,
    launch_digest: Option<&'a String>,
    predicted_digest: Option<&'a String>,
    strategies: &'a [String],
    operations: &'a [String],
    exits: &'a BTreeMap<String, u64>,
    pages_accepted: u64,
    pages_shared: u64,
    instructions: u64,
    lie_told: u64,
    lie_stopped: u64,
    wall_ms: u64,
}

/// One row, without a line break. Hashes of loaded memory are null where no test host took
/// them; digests are null in mode `none`.
pub fn line(row: &Row) -> String {
    let object = Object {
        schema: SCHEMA,
        mode: row.boot.mode.name(),
        scenario: row.boot.scenario.name,
        expected: row.boot.expected.name(),
        outcome: row.outcome.name(),
        reason: row.outcome.reason(),
        passed: row.passed(),
        faults: &row.faults,
        file_sha256: &row.file_sha256,
        kernel_sha256: row.loaded.get("kernel"),
        stub_sha256: row.loaded.get("stub"),
        launch_digest: row.launch_digest.as_ref(),
        predicted_digest: row.predicted_digest.as_ref(),
        strategies: &row.strategies,
        operations: &row.operations,
        exits: &row.exits,
        pages_accepted: row.pages_accepted,
        pages_shared: row.pages_shared,
        instructions: row.instructions,
        lie_told: row.lie_told,
        lie_stopped: row.lie_stopped,
        wall_ms: row.wall_ms,
    };
    serde_json::to_string(&object).expect("strings, numbers and string keys are always JSON")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        outcome::{Expected, Outcome},
        scenario::{ALL, Boot},
    };
    use tessera_defs::mode::Mode;

    #[test]
    fn the_schema_is_the_documented_one() {
        let boot = Boot {
            mode: Mode::None,
            scenario: &ALL[0],
            expected: Expected::Runs,
        };
        let row = Row::new(boot, Outcome::Hang("no \"end\"".into()));
        let value: serde_json::Value = serde_json::from_str(&line(&row)).unwrap();
        for (key, wanted) in [
            ("schema", serde_json::json!(1)),
            ("mode", "none".into()),
            ("expected", "runs".into()),
            ("outcome", "hang".into()),
            ("reason", "no \"end\"".into()),
            ("passed", false.into()),
            ("launch_digest", serde_json::Value::Null),
        ] {
            assert_eq!(value[key], wanted, "{key}");
        }
        assert_eq!(value.as_object().unwrap().len(), 22);
    }
}
