//! `tessera bench`: instruction counts under QEMU's `-icount`, where the time-stamp counter counts
//! instructions. Counts are not cycles: no cache, no TLB, no cost of leaving the guest. What a
//! figure counts, and how, is in README.md.

pub mod accept;
pub mod committed;
pub mod count;
pub mod counts;
pub mod figures;
mod machine;
pub mod peer;
pub mod rows;
pub mod table;
