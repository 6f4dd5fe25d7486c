//! How the mode is decided: claims, evidence, policy, and one pure function over them.
#![no_std]
#![forbid(unsafe_code)]

pub mod claims;
pub mod evidence;
pub mod names;
pub mod policy;
pub mod select;
pub mod strategy;

pub use tessera_defs::refusal;
