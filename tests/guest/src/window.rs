//! The guest's only tools: one page that can be mapped anyhow, no handlers, and death.
#![allow(unsafe_code)] // reason: page tables and raw accesses, wrong on purpose

use core::arch::asm;
use core::sync::atomic::{AtomicU64, Ordering};
use tessera_handoff::handoff::Handoff;
use tessera_handoff::layout::{DIRECT_MAP, KERNEL_BASE, KERNEL_VIRT, PARAVISOR_PAGES};
use tessera_hw::instr;

/// A private, validated page of zeros that nothing uses: these images have no paravisor.
pub const FREE: u64 = PARAVISOR_PAGES;
/// RAM behind the image that nobody validated.
pub const RAM: u64 = 0x0100_0000;
/// Behind all RAM of the 64 MiB that the guest gets.
pub const BEYOND: u64 = 0x1_0000_0000;
/// The window's address: an unused entry of the top table.
const WINDOW: u64 = 0xFFFF_0000_0000_0000 | SLOT << 39;
const SLOT: u64 = 0x150;
/// Present, writable, accessed, dirty.
const ENTRY: u64 = 0x63;
const USER: u64 = 4;
const FRAMES: u64 = 0x000F_FFFF_FFFF_F000;

/// One page table; all its pages stand in the image, so the direct map shows them.
#[repr(C, align(4096))]
struct Table([AtomicU64; 512]);
static TABLES: [Table; 3] = [const { Table([const { AtomicU64::new(0) }; 512]) }; 3];

/// The guest.
pub struct Guest {
    private: u64,
    shared: u64,
}

impl Guest {
    /// With the page-table bits that the stub found.
    pub fn new(handoff: &Handoff) -> Self {
        let (private, shared) = (handoff.private_bits, handoff.shared_bits);
        Self { private, shared }
    }

    /// Maps `gpa` as private memory.
    pub fn private(&mut self, gpa: u64) -> u64 {
        self.map(gpa | self.private)
    }

    /// Maps `gpa` as shared memory.
    pub fn shared(&mut self, gpa: u64) -> u64 {
        self.map(gpa | self.shared)
    }

    /// Bytes of the image that nobody changes, through the direct map.
    pub fn bytes(&self, gpa: u64, len: usize) -> &'static [u8] {
        // SAFETY: callers name a part of the image that the paravisor wrote before the guest
        // ran, and that the guest never writes.
        unsafe { core::slice::from_raw_parts((DIRECT_MAP + gpa) as *const u8, len) }
    }

    /// The bits of a shared page's address.
    pub fn shared_bits(&self) -> u64 {
        self.shared
    }

    /// Maps `gpa` as shared memory in place `place`, where it stays.
    pub fn shared_at(&mut self, place: usize, gpa: u64) {
        self.map_at(place, gpa | self.shared);
    }

    /// Maps `gpa` as private memory of ring 3 in place `place`; its address.
    pub fn user_at(&mut self, place: usize, gpa: u64) -> u64 {
        self.map_as(place, gpa | self.private, USER)
    }

    fn map(&mut self, last: u64) -> u64 {
        self.map_at(0, last)
    }

    fn map_at(&mut self, at: usize, last: u64) -> u64 {
        self.map_as(at, last, 0)
    }

    fn map_as(&mut self, at: usize, last: u64, user: u64) -> u64 {
        let mut top = instr::cr3() & FRAMES & !self.private & !self.shared;
        top += DIRECT_MAP + SLOT * 8;
        let [first, second, third] = &TABLES;
        let link = |table: &Table| {
            let virt = &raw const *table as u64;
            // Ring 3 has what the last entry says.
            (virt - KERNEL_VIRT + KERNEL_BASE) | self.private | ENTRY | USER
        };
        third.0[at].store(last | ENTRY | user, Ordering::SeqCst);
        second.0[0].store(link(third), Ordering::SeqCst);
        first.0[0].store(link(second), Ordering::SeqCst);
        // SAFETY: the top table stands in the image and so in the direct map; its entry for
        // the window is unused, so no live memory moves.
        unsafe { (top as *mut u64).write_volatile(link(first)) };
        instr::flush_tlb();
        place(at)
    }
}

/// Address of a place of the window; 0 is the one that is mapped anew each time.
pub fn place(at: usize) -> u64 {
    WINDOW + at as u64 * 4096
}

/// Reads a word through the window or the direct map.
pub fn touch(virt: u64) -> u64 {
    // SAFETY: it is mapped; that the read faults is what some callers want.
    unsafe { (virt as *const u64).read_volatile() }
}

/// Writes a word through the window.
pub fn put(virt: u64, value: u64) {
    // SAFETY: the window never shows memory that Rust owns.
    unsafe { (virt as *mut u64).write_volatile(value) };
}

/// An IDT without entries: every exception ends the guest.
pub fn forget_handlers() {
    let none = [0u16; 5];
    // SAFETY: interrupts are off, and no handler is wanted.
    unsafe { asm!("lidt [{}]", in(reg) &raw const none, options(readonly, nostack)) }
}

/// UD2 without a handler.
pub fn die() -> ! {
    // SAFETY: ends the guest.
    unsafe { asm!("ud2", options(noreturn)) }
}
