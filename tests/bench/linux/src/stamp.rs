//! The time-stamp counter, which counts instructions where QEMU does.
#![allow(unsafe_code)] // reason: reads the counter

use core::arch::asm;

/// Samples of a figure; the least one counts: nothing interrupted it.
pub const SAMPLES: u32 = 400;

#[inline(always)]
pub fn stamp() -> u64 {
    let (low, high): (u64, u64);
    // SAFETY: reads the counter.
    unsafe {
        asm!("rdtsc", out("rax") low, out("rdx") high, options(nomem, nostack, preserves_flags))
    }
    high << 32 | low
}

/// The least count of `act`, the readings included.
#[inline(always)]
pub fn least(mut act: impl FnMut()) -> u64 {
    let mut least = u64::MAX;
    for _ in 0..SAMPLES {
        let before = stamp();
        act();
        least = least.min(stamp() - before);
    }
    least
}
