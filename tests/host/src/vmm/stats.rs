//! What is counted.

use crate::svm::exit;
use alloc::vec::Vec;

/// Counts of one run.
#[derive(Clone, Debug)]
pub struct Stats {
    /// Exits by class, in the order of `exit::CLASSES`.
    pub exits: [u64; exit::CLASSES.len()],
    /// All exits.
    pub total: u64,
    /// Instructions between entries and exits.
    pub instructions: u64,
    /// Isolation operations that the host saw, each once, in order of first use.
    pub operations: Vec<&'static str>,
}

impl Stats {
    /// Nothing yet.
    pub fn new() -> Self {
        Self {
            exits: [0; exit::CLASSES.len()],
            total: 0,
            instructions: 0,
            operations: Vec::with_capacity(32),
        }
    }

    /// Counts an exit.
    pub fn exit(&mut self, code: u64) {
        let class = exit::class(code);
        let last = exit::CLASSES.len() - 1;
        let index = exit::CLASSES
            .iter()
            .position(|name| *name == class)
            .unwrap_or(last);
        self.exits[index] += 1;
        self.total += 1;
    }

    /// Notes an operation.
    pub fn operation(&mut self, name: &'static str) {
        if !self.operations.contains(&name) {
            self.operations.push(name);
        }
    }
}

impl Default for Stats {
    fn default() -> Self {
        Self::new()
    }
}
