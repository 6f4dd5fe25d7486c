//! The host's own timer: the local APIC of the machine, one shot, so that a guest that never
//! exits comes back. QEMU before 9.0 has no x2APIC under TCG, so registers are memory.
#![allow(unsafe_code)] // Reason: the local APIC's registers are memory.

use super::instr;

/// Registers of the local APIC at its reset address (Intel SDM vol. 3, table 11-1).
const APIC: u64 = 0xFEE0_0000;
const EOI: u64 = 0xB0;
const SIVR: u64 = 0xF0;
const LVT_TIMER: u64 = 0x320;
const INITIAL_COUNT: u64 = 0x380;
const DIVIDE: u64 = 0x3E0;
/// Vector of the host's timer.
pub const VECTOR: u8 = 0x40;

fn write(register: u64, value: u32) {
    // SAFETY: the local APIC stands at its reset address, identity mapped; nothing else is there.
    unsafe { ((APIC + register) as *mut u32).write_volatile(value) }
}

/// Enables the APIC; its timer counts nanoseconds of QEMU's virtual clock.
pub fn start() {
    // The two 8259s are not used: mask them.
    instr::out8(0x21, 0xFF);
    instr::out8(0xA1, 0xFF);
    write(SIVR, 0x1FF);
    write(DIVIDE, 0b1011);
    write(LVT_TIMER, u32::from(VECTOR));
}

/// Interrupts in `ticks` (virtual nanoseconds).
pub fn arm(ticks: u64) {
    write(INITIAL_COUNT, ticks.clamp(1, u64::from(u32::MAX)) as u32);
}

/// Ends an interrupt of the host.
pub fn end_of_interrupt() {
    write(EOI, 0);
}
