//! One stack a virtual processor, side by side from `STACK_TOP` down. The page below each is not
//! mapped. The stack also says which processor this is.

use tessera_handoff::layout::{PARAVISOR_VPS, STACK_PAGES, STACK_TOP};

const PAGE: u64 = 4096;
/// Addresses of a stack and its guard.
pub const SLOT: u64 = (STACK_PAGES + 1) * PAGE;

/// First address behind a processor's stack.
pub const fn top(index: usize) -> u64 {
    STACK_TOP - index as u64 * SLOT
}

/// Index of the processor that asks.
pub fn current() -> usize {
    let here = 0u8;
    processor(&raw const here as u64)
}

/// Index of the processor in whose stack `address` lies.
pub fn processor(address: u64) -> usize {
    let index = (STACK_TOP - 1).wrapping_sub(address) / SLOT;
    (index as usize).min(PARAVISOR_VPS - 1)
}
