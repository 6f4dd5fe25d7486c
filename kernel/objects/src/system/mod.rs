//! Processes, threads, IPC and scheduling: everything that a system call can change, in flat
//! arrays. Indices are checked by generation; nothing allocates and nothing is `dyn`.
//!
//! One `System` is one processor's. After every operation `current` is the thread that runs
//! next (0: nobody); the kernel compares it with the one before and switches.

mod call;
mod create;
mod death;
pub mod grant;
pub mod handles;
pub mod interrupt;
mod list;
pub mod mapping;
mod notify;
pub mod objects;
mod priority;
mod receive;
mod reply;
mod revoke;
mod schedule;
pub mod space;
pub mod thread;
pub mod wait;

#[cfg(test)]
mod tests;

pub use objects::System;
