//! TDX with TD partitioning: the lower guest is L2 VM 1.

mod entry_state;
pub mod l2;
