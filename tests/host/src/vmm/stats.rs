//! What is counted.

use crate::svm::exit;
use alloc::vec::Vec;

/// A number for each class of exits, in the order of `exit::CLASSES`.
pub type ByClass = [u64; exit::CLASSES.len()];

/// Counts of one run.
#[derive(Clone, Debug)]
pub struct Stats {
    /// Exits by class.
    pub exits: ByClass,
    /// All exits.
    pub total: u64,
    /// Instructions between entries and exits, with some of the host's own around each.
    pub instructions: u64,
    /// Isolation operations that the host saw, in order of first use, and how often.
    pub operations: Vec<(&'static str, u64)>,
    /// The guest's own among them.
    pub own: u64,
    /// What came before the first exit out of ring 3.
    pub boot: Option<Boot>,
    /// Exits of a lower context after which the one below it ran.
    pub served: ByClass,
    /// Instructions of the one below, by class of the exit that it served.
    pub serving: ByClass,
    /// The fewest of them for one exit; 0 where there was none.
    pub least: ByClass,
}

/// Until the guest's first exit out of ring 3.
#[derive(Clone, Debug)]
pub struct Boot {
    /// Exits by class.
    pub exits: ByClass,
    /// Instructions of the guest's own.
    pub instructions: u64,
    /// Isolation operations.
    pub operations: Vec<(&'static str, u64)>,
}

/// What serves a lower context's exit.
#[derive(Clone, Copy, Debug)]
pub struct Service {
    /// The exit's code.
    pub code: u64,
    /// Instructions so far.
    pub spent: u64,
    /// Interrupts that came in meanwhile.
    pub taken: Taken,
}

/// Interrupts of a service.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Taken {
    /// None.
    Nothing,
    /// One, the local APIC's timer.
    Timer,
    /// Another, or several.
    Others,
}

impl Service {
    /// Of an exit that just came.
    pub fn new(code: u64) -> Self {
        Self {
            code,
            spent: 0,
            taken: Taken::Nothing,
        }
    }

    /// An interrupt was taken.
    pub fn took(&mut self, timer: bool) {
        self.taken = match self.taken {
            Taken::Nothing if timer => Taken::Timer,
            _ => Taken::Others,
        };
    }
}

impl Stats {
    /// Nothing yet.
    pub fn new() -> Self {
        Self {
            exits: [0; exit::CLASSES.len()],
            total: 0,
            instructions: 0,
            own: 0,
            operations: Vec::with_capacity(32),
            boot: None,
            served: [0; exit::CLASSES.len()],
            serving: [0; exit::CLASSES.len()],
            least: [0; exit::CLASSES.len()],
        }
    }

    /// Counts an exit.
    pub fn exit(&mut self, code: u64) {
        self.exits[place(exit::class(code))] += 1;
        self.total += 1;
    }

    /// Counts what was spent on a lower context's exit. Nothing was where the vmm served it.
    pub fn serve(&mut self, service: &Service) {
        let class = match service.taken {
            Taken::Timer if service.code == exit::INTR => exit::TIMER,
            _ => exit::class(service.code),
        };
        if service.spent > 0 {
            let (class, spent) = (place(class), service.spent);
            self.served[class] += 1;
            self.serving[class] += spent;
            self.least[class] = match self.least[class] {
                0 => spent,
                least => least.min(spent),
            };
        }
    }

    /// Notes an operation.
    pub fn operation(&mut self, name: &'static str) {
        match self.operations.iter_mut().find(|(known, _)| *known == name) {
            Some((_, count)) => *count += 1,
            None => self.operations.push((name, 1)),
        }
    }
}

/// Place of a class in `exit::CLASSES`.
fn place(class: &str) -> usize {
    let place = exit::CLASSES.iter().position(|name| *name == class);
    place.unwrap_or(exit::CLASSES.len() - 1)
}

impl Default for Stats {
    fn default() -> Self {
        Self::new()
    }
}
