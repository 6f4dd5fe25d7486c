//! The interrupt descriptor table.
#![allow(unsafe_code)] // reason: LIDT

use crate::gdt::KERNEL_CODE;
use crate::trap;
use x86_64::VirtAddr;
use x86_64::instructions::tables::lidt;
use x86_64::structures::DescriptorTablePointer;

/// 256 interrupt gates, 16 bytes each (APM vol. 2, 4.8.4).
#[repr(C, align(16))]
#[derive(Debug)]
pub struct Idt {
    gates: [[u64; 2]; 256],
}

impl Default for Idt {
    fn default() -> Self {
        Self::new()
    }
}

impl Idt {
    /// No gate present.
    pub const fn new() -> Self {
        Self {
            gates: [[0; 2]; 256],
        }
    }

    /// Points every gate at its stub (DPL 0, interrupts off on entry) and loads IDTR.
    /// `ist` gives a vector's interrupt stack: IST 1 to 7, or 0 for none.
    ///
    /// # Safety
    /// `Segments::install` ran with those stacks, and `trap::set_handler` named the handler.
    pub unsafe fn install(&'static mut self, ist: fn(u8) -> u8) {
        for vector in 0..=255 {
            self.gates[usize::from(vector)] = gate(trap::stub(vector), ist(vector));
        }
        // SAFETY: every gate leads to a stub; the caller's promise.
        unsafe { self.load() }
    }

    /// Loads IDTR on one more processor.
    ///
    /// # Safety
    /// As for `install`, which ran.
    pub unsafe fn load(&'static self) {
        let limit = (size_of_val(&self.gates) - 1) as u16;
        let pointer = DescriptorTablePointer {
            limit,
            base: VirtAddr::from_ptr(&self.gates),
        };
        // SAFETY: the table lives for ever and every gate leads to a stub.
        unsafe { lidt(&pointer) }
    }
}

/// A present 64-bit interrupt gate.
fn gate(target: u64, ist: u8) -> [u64; 2] {
    assert!(ist < 8, "no such interrupt stack");
    let low = target & 0xFFFF
        | u64::from(KERNEL_CODE) << 16
        | u64::from(ist) << 32
        | 0x8E << 40
        | (target >> 16 & 0xFFFF) << 48;
    [low, target >> 32]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn gate_spreads_the_target() {
        let [low, high] = gate(0xFFFF_FFFF_8123_4567, 3);
        assert_eq!(high, 0xFFFF_FFFF);
        assert_eq!(low, 0x8123_8E03_0008_4567);
    }

    #[test]
    fn stubs_are_sixteen_bytes_apart() {
        assert_eq!(trap::stub(255) - trap::stub(0), 255 * 16);
        assert_eq!(trap::stub(0) % 16, 0);
    }
}
