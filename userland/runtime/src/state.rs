//! The memory of a service that outlives it: words that start as zero.
#![allow(unsafe_code)] // the supervisor mapped memory at a known place

use core::sync::atomic::AtomicU64;
use tessera_handoff::layout::STATE_BASE;

/// The state's words; `pages` as the manifest says. Whoever names more pages than it has faults at
/// the first access behind them.
pub fn words(pages: usize) -> &'static [AtomicU64] {
    // SAFETY: the supervisor maps the state there before the service starts, for its whole life;
    // atomics, because whoever comes after this process sees what it left.
    unsafe { core::slice::from_raw_parts(STATE_BASE as *const AtomicU64, pages * 512) }
}
