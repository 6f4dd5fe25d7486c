//! TDX: module calls (348551, 354807) and host calls (GHCI 348552).

pub mod call;
pub mod lower;
pub mod memory;
pub mod module;
pub mod vmcall;
