//! Processes, threads, IPC and scheduling: everything that a system call can change, in flat
//! arrays. Indices are checked by generation; nothing allocates and nothing is `dyn`.
//!
//! One processor works in it at a time, behind the kernel's lock: `enter` says which. After every
//! operation `current` is the thread that this one runs next (0: nobody); the kernel compares it with
//! the one before and switches.

mod call;
pub mod cpu;
mod create;
mod death;
pub mod fault;
pub mod grant;
pub mod handles;
pub mod interrupt;
mod list;
pub mod mapping;
mod notify;
pub mod objects;
mod priority;
mod receive;
pub mod region;
mod reply;
mod revoke;
mod schedule;
pub mod space;
pub mod thread;
pub mod wait;

#[cfg(test)]
mod tests;

pub use objects::System;
