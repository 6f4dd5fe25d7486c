//! The result of one boot.

use crate::{outcome::Outcome, scenario::Boot};
use std::{collections::BTreeMap, path::PathBuf};

/// One row of the matrix.
#[derive(Debug, Clone)]
pub struct Row {
    /// What was booted.
    pub boot: Boot,
    /// How it ended.
    pub outcome: Outcome,
    /// Other checks that failed, a sentence each.
    pub faults: Vec<String>,
    /// SHA-256 of the file that QEMU was given, hex.
    pub file_sha256: String,
    /// SHA-256 of loaded guest memory by range, hex; empty without the test host.
    pub loaded: BTreeMap<String, String>,
    /// What silicon measured, hex.
    pub launch_digest: Option<String>,
    /// What the manifest predicts, hex.
    pub predicted_digest: Option<String>,
    /// What the kernel says it uses.
    pub strategies: Vec<String>,
    /// Isolation operations that the host saw.
    pub operations: Vec<String>,
    /// Exits by class.
    pub exits: BTreeMap<String, u64>,
    /// Pages that the guest accepted.
    pub pages_accepted: u64,
    /// Pages that are shared at the end.
    pub pages_shared: u64,
    /// Instructions of the guest.
    pub instructions: u64,
    /// How often the host told the scenario's lie; nothing without the test host.
    pub lie_told: u64,
    /// How often silicon kept it from the guest.
    pub lie_stopped: u64,
    /// Wall-clock time in milliseconds.
    pub wall_ms: u64,
    /// The guest's instruction pointer at the end, from the host.
    pub rip: Option<u64>,
    /// Symbol and offset of that place in a failed boot.
    pub place: Option<String>,
    /// Where a failed boot's files are.
    pub kept: Option<PathBuf>,
}

impl Row {
    /// A row of which nothing is known yet but how it ended.
    pub fn new(boot: Boot, outcome: Outcome) -> Self {
        Self {
            boot,
            outcome,
            faults: Vec::new(),
            file_sha256: String::new(),
            loaded: BTreeMap::new(),
            launch_digest: None,
            predicted_digest: None,
            strategies: Vec::new(),
            operations: Vec::new(),
            exits: BTreeMap::new(),
            pages_accepted: 0,
            pages_shared: 0,
            instructions: 0,
            lie_told: 0,
            lie_stopped: 0,
            wall_ms: 0,
            rip: None,
            place: None,
            kept: None,
        }
    }

    /// Whether it ended as expected and every check held.
    pub fn passed(&self) -> bool {
        self.outcome.meets(self.boot.expected) && self.faults.is_empty()
    }

    /// Everything that is wrong with it, a sentence each.
    pub fn complaints(&self) -> Vec<String> {
        let mut complaints = Vec::new();
        if !self.outcome.meets(self.boot.expected) {
            let reason = self.outcome.reason().map(|words| format!(": {words}"));
            complaints.push(format!(
                "expected {}, ended as {}{}",
                self.boot.expected.name(),
                self.outcome.name(),
                reason.unwrap_or_default()
            ));
        }
        complaints.extend(self.faults.iter().cloned());
        complaints
    }
}
