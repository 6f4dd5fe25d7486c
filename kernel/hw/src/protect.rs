//! What keeps ring 0 out of user memory, and ring 3 away from the tables' addresses: SMEP, SMAP,
//! UMIP. Source: Intel SDM vol. 3, 2.5 (CR4), 4.6 (access rights); APM vol. 2, 3.1.3, 5.6.
//!
//! CPUID, a host's claim, is not asked. The processor is: each bit is written under a fix-up and
//! read back, so that a host that hides one weakens nothing.
#![allow(unsafe_code)] // reason: CR4, STAC, CLAC

use crate::{instr, probe};
use core::arch::asm;
use core::sync::atomic::{AtomicBool, Ordering};

/// Bits of CR4 and their names, as banners show them.
pub const BITS: [(u64, &str); 3] = [(1 << 20, "smep"), (SMAP, "smap"), (1 << 11, "umip")];
const SMAP: u64 = 1 << 21;

/// Whether STAC and CLAC exist: SMAP is on.
static GUARDED: AtomicBool = AtomicBool::new(false);

/// Turns on what this processor has; every processor must have the same. Needs `Idt::install`.
///
/// # Safety
/// Ring 0, no user page is executed or touched by it outside of `user_access`.
pub unsafe fn enable() {
    for (bit, _) in BITS {
        let now = instr::cr4();
        if now & bit == 0 {
            // SAFETY: one protection more; a #GP leaves CR4 as it was.
            let _absent = unsafe { probe::set_cr4(now | bit) };
        }
    }
    GUARDED.store(instr::cr4() & SMAP != 0, Ordering::Relaxed);
}

/// The names of what is on.
pub fn names() -> impl Iterator<Item = &'static str> {
    let now = instr::cr4();
    let on = move |(bit, name): (u64, &'static str)| (now & bit != 0).then_some(name);
    BITS.into_iter().filter_map(on)
}

/// Runs `access` with ring 3's pages within reach. Nothing else happens in it.
#[inline(always)]
pub fn user_access<R>(access: impl FnOnce() -> R) -> R {
    if !GUARDED.load(Ordering::Relaxed) {
        return access();
    }
    // SAFETY: SMAP exists. The barriers of `asm!` keep memory accesses in between.
    unsafe { asm!("stac", options(nostack)) }
    let result = access();
    // SAFETY: as above.
    unsafe { asm!("clac", options(nostack)) }
    result
}
