//! The seam between silicon and vmm: one run loop per technology.

pub mod enter;
pub mod plain;
pub mod processors;
pub mod snp;
pub mod tdx;
pub mod technology;

pub use technology::{Access, LaunchPage, PageKind, Step, Technology};
