//! The seam between silicon and vmm: one run loop per technology.

pub mod technology;

pub use technology::{Access, LaunchPage, PageKind, Step, Technology};
