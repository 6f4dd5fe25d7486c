//! From sources to the five files of the output folder.

mod bare;
mod clean;
mod flags;
mod output;
mod recipe;
mod whole;
mod workspace;

pub use bare::{Programs, programs};
pub use clean::clean;
pub use output::Output;
pub use recipe::{Placement, PolicyName, Recipe, mode};
pub use whole::{Product, describe, whole};
pub use workspace::Workspace;

/// What `tessera build` leaves in its output folder.
pub const FILES: [&str; 5] = [
    "tessera.igvm",
    "kernel.elf",
    "paravisor.elf",
    "stub.elf",
    "manifest.json",
];
