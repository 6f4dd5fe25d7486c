//! The pages of the L2 VM and of its L1: statics of the image, so private and accepted.

use core::sync::atomic::{AtomicU64, Ordering};
use tessera_handoff::layout::{KERNEL_BASE, KERNEL_VIRT};

/// One page.
#[repr(C, align(4096))]
pub struct Page([AtomicU64; 512]);

/// Page tables: the first 32 MiB one to one, and `SHARED_VIEW`.
pub static TOP: Page = Page::new();
static NEXT: Page = Page::new();
static LOW: Page = Page::new();
/// Instructions, 16 bytes apart: see `at`.
pub static CODE: Page = Page::new();
/// Stack.
pub static STACK: Page = Page::new();
/// GDT.
pub static DESCRIPTORS: Page = Page::new();
/// IDT.
pub static IDT: Page = Page::new();
/// Memory that the L2 VM gets no attributes for at first.
pub static DATA: Page = Page::new();
/// L2_ENTER_GUEST_STATE; L1's own.
pub static STATE: Page = Page::new();
/// Virtual-APIC page; L1's own.
pub static APIC: Page = Page::new();

/// Pages that the L2 VM cannot run without.
pub static LOWER: [&Page; 7] = [&TOP, &NEXT, &LOW, &CODE, &STACK, &DESCRIPTORS, &IDT];

/// Where the L2 VM sees memory at 16 MiB by its shared name.
pub const SHARED_VIEW: u64 = 16 << 21;
/// Present, writable, accessed, dirty.
const ENTRY: u64 = 0x63;
const LARGE: u64 = 0x80;

/// Offsets of instruction sequences in the code page.
pub mod at {
    #![allow(missing_docs)]
    pub const CPUID: u64 = 0x00;
    pub const HLT: u64 = 0x10;
    pub const OUT: u64 = 0x20;
    pub const RDMSR: u64 = 0x30;
    pub const WRMSR: u64 = 0x40;
    pub const VMCALL: u64 = 0x50;
    pub const TDCALL: u64 = 0x60;
    /// MOV [RDI], RAX; HLT.
    pub const STORE: u64 = 0x70;
    /// Handler of every vector: HLT; the frame stays on the stack.
    pub const HANDLER: u64 = 0x80;
    /// REP VMMCALL, that is VMGEXIT.
    pub const VMGEXIT: u64 = 0x90;
    /// MOV RAX, CR0; HLT.
    pub const READ_CR0: u64 = 0xA0;
    /// MOV CR0, RAX; HLT.
    pub const WRITE_CR0: u64 = 0xB0;
    /// STI; NOP; NOP; HLT.
    pub const OPEN: u64 = 0xC0;
    /// UD2.
    pub const UNDEFINED: u64 = 0xD0;
    /// WBINVD.
    pub const WBINVD: u64 = 0xE0;
    /// RDPMC.
    pub const RDPMC: u64 = 0xF0;
}

const INSTRUCTIONS: [(u64, &[u8]); 16] = [
    (at::CPUID, &[0x0F, 0xA2]),
    (at::HLT, &[0xF4]),
    (at::OUT, &[0xEE]),
    (at::RDMSR, &[0x0F, 0x32]),
    (at::WRMSR, &[0x0F, 0x30]),
    (at::VMCALL, &[0x0F, 0x01, 0xC1]),
    (at::TDCALL, &[0x66, 0x0F, 0x01, 0xCC]),
    (at::STORE, &[0x48, 0x89, 0x07, 0xF4]),
    (at::HANDLER, &[0xF4]),
    (at::VMGEXIT, &[0xF3, 0x0F, 0x01, 0xD9]),
    (at::READ_CR0, &[0x0F, 0x20, 0xC0, 0xF4]),
    (at::WRITE_CR0, &[0x0F, 0x22, 0xC0, 0xF4]),
    (at::OPEN, &[0xFB, 0x90, 0x90, 0xF4]),
    (at::UNDEFINED, &[0x0F, 0x0B]),
    (at::WBINVD, &[0x0F, 0x09]),
    (at::RDPMC, &[0x0F, 0x33]),
];

impl Page {
    const fn new() -> Self {
        Self([const { AtomicU64::new(0) }; 512])
    }

    /// Its guest-physical address.
    pub fn gpa(&self) -> u64 {
        &raw const *self as u64 - KERNEL_VIRT + KERNEL_BASE
    }

    /// Word `index`.
    pub fn get(&self, index: usize) -> u64 {
        self.0[index].load(Ordering::SeqCst)
    }

    /// Sets word `index`.
    pub fn set(&self, index: usize, value: u64) {
        self.0[index].store(value, Ordering::SeqCst);
    }
}

/// Fills tables, code and descriptors.
pub fn fill() {
    TOP.set(0, NEXT.gpa() | ENTRY);
    NEXT.set(0, LOW.gpa() | ENTRY);
    (0..16).for_each(|i| LOW.set(i, (i as u64) << 21 | ENTRY | LARGE));
    let shared = crate::window::RAM | 1 << tessera_defs::tdx::page::SHARED_BIT;
    LOW.set(16, shared | ENTRY | LARGE);
    for (offset, bytes) in INSTRUCTIONS {
        let mut word = [0; 8];
        word[..bytes.len()].copy_from_slice(bytes);
        CODE.set(offset as usize / 8, u64::from_le_bytes(word));
    }
    // Null, 64-bit code, data; all accessed.
    DESCRIPTORS.set(1, 0x00AF_9B00_0000_FFFF);
    DESCRIPTORS.set(2, 0x00CF_9300_0000_FFFF);
    let handler = CODE.gpa() + at::HANDLER;
    for vector in 0..256 {
        // An interrupt gate through selector 8.
        let low = handler & 0xFFFF | 8 << 16 | 0x8E00 << 32 | (handler >> 16 & 0xFFFF) << 48;
        IDT.set(vector * 2, low);
        IDT.set(vector * 2 + 1, handler >> 32);
    }
}
