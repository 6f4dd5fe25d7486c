//! Segment descriptors and the task-state segment of one processor.
#![allow(unsafe_code)] // reason: LGDT, LTR and segment registers

use core::arch::asm;
use x86_64::VirtAddr;
use x86_64::instructions::segmentation::{CS, DS, ES, SS, Segment};
use x86_64::instructions::tables::{lgdt, load_tss};
use x86_64::structures::DescriptorTablePointer;
use x86_64::structures::gdt::SegmentSelector;
use x86_64::structures::tss::TaskStateSegment;

/// Selector: kernel code.
pub const KERNEL_CODE: u16 = 0x08;
/// Selector: kernel data.
pub const KERNEL_DATA: u16 = 0x10;
/// Selector: user data, RPL 3.
pub const USER_DATA: u16 = 0x18 | 3;
/// Selector: user code, RPL 3.
pub const USER_CODE: u16 = 0x20 | 3;
/// Selector of the TSS of processor 0; the others' follow, 16 bytes each.
const TSS: u16 = 0x28;
/// Processors that a GDT has room for.
pub const PROCESSORS: usize = 8;
const TSS_SLOT: usize = TSS as usize / 8;

// APM vol. 2, 4.8: present, 64-bit code (L) or writable data; DPL in bits 46:45; accessed.
const CODE: u64 = 1 << 53 | 1 << 47 | 0b11011 << 40;
const DATA: u64 = 1 << 47 | 0b10011 << 40;
const DPL3: u64 = 3 << 45;

/// Tops of the stacks that the processor switches to by itself.
#[derive(Clone, Copy, Debug)]
pub struct Stacks {
    /// RSP0: entries from ring 3.
    pub ring0: u64,
    /// IST 1 to 7 at index 0 to 6; 0 where unused.
    pub ist: [u64; 7],
}

/// GDT and TSS of one processor. Stands in static memory.
#[derive(Debug)]
pub struct Segments {
    gdt: [u64; TSS_SLOT + 2 * PROCESSORS],
    tss: TaskStateSegment,
}

impl Default for Segments {
    fn default() -> Self {
        Self::new()
    }
}

impl Segments {
    /// Flat segments, no TSS content yet.
    pub const fn new() -> Self {
        let mut gdt = [0; TSS_SLOT + 2 * PROCESSORS];
        (gdt[1], gdt[2], gdt[3], gdt[4]) = (CODE, DATA, DATA | DPL3, CODE | DPL3);
        Self {
            gdt,
            tss: TaskStateSegment::new(),
        }
    }

    /// Loads GDTR, CS, SS, DS, ES and TR. FS and GS are left (their bases live in MSRs). `number` is
    /// this processor's, below `PROCESSORS`: `number()` reads it from TR.
    ///
    /// # Safety
    /// Ring 0, long mode. The stacks are mapped, writable, and used by nothing else.
    pub unsafe fn install(&'static mut self, number: u8, stacks: Stacks) {
        let slot = TSS_SLOT + 2 * usize::from(number);
        self.tss.privilege_stack_table[0] = VirtAddr::new(stacks.ring0);
        self.tss.interrupt_stack_table = stacks.ist.map(VirtAddr::new);
        self.tss.iomap_base = size_of::<TaskStateSegment>() as u16;
        [self.gdt[slot], self.gdt[slot + 1]] = tss_descriptor(&raw const self.tss as u64);
        let limit = (size_of_val(&self.gdt) - 1) as u16;
        let pointer = DescriptorTablePointer {
            limit,
            base: VirtAddr::from_ptr(&self.gdt),
        };
        // SAFETY: table and TSS live for ever (`'static`) and hold what the selectors say.
        unsafe {
            lgdt(&pointer);
            CS::set_reg(SegmentSelector(KERNEL_CODE));
            SS::set_reg(SegmentSelector(KERNEL_DATA));
            DS::set_reg(SegmentSelector(KERNEL_DATA));
            ES::set_reg(SegmentSelector(KERNEL_DATA));
            load_tss(SegmentSelector(slot as u16 * 8));
        }
    }
}

/// The number of this processor, from TR, which nothing but `install` changes: GS may have ring 3's
/// base where a host forces an event in. 0 before `install`.
pub fn number() -> u8 {
    let selector: u16;
    // SAFETY: reads TR.
    unsafe { asm!("str {:x}", out(reg) selector, options(nomem, nostack, preserves_flags)) }
    (selector.saturating_sub(TSS) / 16) as u8
}

/// The 16-byte descriptor of an available 64-bit TSS (APM vol. 2, 4.8.3).
fn tss_descriptor(base: u64) -> [u64; 2] {
    let limit = size_of::<TaskStateSegment>() as u64 - 1;
    let low = limit | (base & 0xFF_FFFF) << 16 | 0b1001 << 40 | 1 << 47 | (base >> 24 & 0xFF) << 56;
    [low, base >> 32]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tss_descriptor_spreads_the_base() {
        let [low, high] = tss_descriptor(0x1122_3344_5566_7788);
        assert_eq!(high, 0x1122_3344);
        assert_eq!(low >> 56, 0x55);
        assert_eq!(low >> 16 & 0xFF_FFFF, 0x66_7788);
        assert_eq!(low & 0xFFFF, 103);
        assert_eq!(low >> 40 & 0xFF, 0x89);
    }

    #[test]
    fn flat_segments_are_the_architectural_values() {
        let segments = Segments::new();
        assert_eq!(segments.gdt[1], 0x0020_9B00_0000_0000);
        assert_eq!(segments.gdt[2], 0x0000_9300_0000_0000);
        assert_eq!(segments.gdt[4], 0x0020_FB00_0000_0000);
    }
}
