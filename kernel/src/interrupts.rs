//! Interrupts of devices: from a vector to the object whose driver is told.

use crate::cpu::Kernel;
use crate::{apic, ioapic, processors, timer};
use tessera_objects::system::interrupt::{INTERRUPTS, LINES};

/// Vector of interrupt 1.
const FIRST: u64 = 0x50;
/// Their vectors.
pub const VECTORS: core::ops::Range<u64> = FIRST..FIRST + INTERRUPTS as u64 - 1;
const _: () = assert!(VECTORS.end <= 0x80 && FIRST > timer::VECTOR as u64);
const _: () = assert!(FIRST > processors::VECTOR as u64);

/// The vector of an interrupt.
pub fn vector(index: u8) -> u32 {
    FIRST as u32 + u32::from(index) - 1
}

/// One of `VECTORS` came. Its driver is told, and until that one acknowledges it does not come again: a
/// line is masked, a message is dropped. What nobody waits for is counted and dropped.
pub fn came(kernel: &mut Kernel, vector: u64) {
    let index = (vector - FIRST) as u8 + 1;
    end(index);
    if kernel.system.deliver_interrupt(index) {
        apic::end_of_interrupt();
    } else {
        timer::unasked_interrupt();
    }
}

/// Lets interrupt `index` come.
pub fn begin(index: u8) {
    if index <= LINES {
        ioapic::open(u32::from(index) - 1);
    }
}

/// Keeps interrupt `index` from coming.
pub fn end(index: u8) {
    if index <= LINES {
        ioapic::close(u32::from(index) - 1);
    }
}
