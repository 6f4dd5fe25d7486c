//! One L2 VM of a TD's processor. Sources: 354807 (TD partitioning), 348551, Intel SDM vol. 3,
//! chapters 25 to 28; checked against Intel's TDX module 1.5.

pub mod check;
pub mod cr;
pub mod enter;
pub mod event;
pub mod exit;
pub mod fields;
pub mod initial;
pub mod metadata;
pub mod msr;
pub mod segment;
pub mod state;
pub mod vapic;
pub mod vm;
pub mod vmcs;
