//! AMD SVM: the control block, the nested page tables, the bitmaps, and the entry into a guest.

pub mod bitmaps;
#[cfg(target_os = "none")]
pub mod enter;
pub mod exit;
pub mod npt;
pub mod vcpu;
pub mod vmcb;
