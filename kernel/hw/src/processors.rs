//! What the strategies that start processors write: save areas, and a TD's reset page.
#![allow(unsafe_code)] // reason: pages that Rust does not own, by the direct map

use core::sync::atomic::{Ordering, fence};
use tessera_handoff::layout::{DIRECT_MAP, RESET_TABLES, WAKE};
use tessera_isolation::strategy::processors::{Fill, ResetPage};

/// Entries of the kernel's half in a top table.
const UPPER_HALF: core::ops::Range<u64> = 256..512;
const FRAME: u64 = 0x000F_FFFF_FFFF_F000;

/// Writes whole pages.
#[derive(Debug)]
pub struct DirectFill(());

impl DirectFill {
    /// # Safety
    /// Every page that it is given is private, mapped writable, and nothing else's.
    pub const unsafe fn new() -> Self {
        Self(())
    }
}

impl Fill for DirectFill {
    fn fill(&mut self, virt: u64, page: &[u8; 4096]) {
        // SAFETY: the promise of `new`.
        unsafe { core::ptr::copy_nonoverlapping(page.as_ptr(), virt as *mut u8, page.len()) }
    }
}

/// The pages in which the other processors of a TD wait.
#[derive(Debug)]
pub struct ResetPort(());

impl ResetPort {
    /// # Safety
    /// L1 of a TD. Its methods are called where the direct map shows those pages, with the kernel's
    /// own tables and entries.
    pub const unsafe fn new() -> Self {
        Self(())
    }
}

impl ResetPage for ResetPort {
    fn show(&mut self, cr3: u64) {
        for entry in UPPER_HALF {
            let from = (DIRECT_MAP + (cr3 & FRAME) + entry * 8) as *const u64;
            let to = (DIRECT_MAP + RESET_TABLES + entry * 8) as *mut u64;
            // SAFETY: words of two top tables, which the direct map shows by the promise of `new`.
            unsafe { to.write_volatile(from.read_volatile()) }
        }
    }

    fn wake(&mut self, index: u32, entry: u64) {
        fence(Ordering::SeqCst);
        let word = (DIRECT_MAP + WAKE + u64::from(index) * 8) as *mut u64;
        // SAFETY: as above; the processor reads the word in one access.
        unsafe { word.write_volatile(entry) }
    }
}
