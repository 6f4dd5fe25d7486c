//! The tests of the whole: invariants, a reference model, random schedules.

mod check;
mod fake;
mod faults;
mod interrupts;
mod model;
mod priorities;
mod processors;
mod random;
mod schedules;
