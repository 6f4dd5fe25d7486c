//! The host's own timer: the local APIC of the machine, one shot, so that a guest that never
//! exits comes back.

use super::instr;

const APIC_BASE: u32 = 0x1B;
const X2APIC_ENABLE: u64 = 1 << 10;
const SIVR: u32 = 0x80F;
const LVT_TIMER: u32 = 0x832;
const INITIAL_COUNT: u32 = 0x838;
const DIVIDE: u32 = 0x83E;
const EOI: u32 = 0x80B;
/// Vector of the host's timer.
pub const VECTOR: u8 = 0x40;

/// Switches the APIC to x2APIC mode; the timer counts nanoseconds of QEMU's virtual clock.
pub fn start() {
    // The two 8259s are not used: mask them.
    instr::out8(0x21, 0xFF);
    instr::out8(0xA1, 0xFF);
    instr::wrmsr(APIC_BASE, instr::rdmsr(APIC_BASE) | X2APIC_ENABLE);
    instr::wrmsr(SIVR, 0x1FF);
    instr::wrmsr(DIVIDE, 0b1011);
    instr::wrmsr(LVT_TIMER, u64::from(VECTOR));
}

/// Interrupts in `ticks` (virtual nanoseconds).
pub fn arm(ticks: u64) {
    instr::wrmsr(INITIAL_COUNT, ticks.clamp(1, u64::from(u32::MAX)));
}

/// Ends an interrupt of the host.
pub fn end_of_interrupt() {
    instr::wrmsr(EOI, 0);
}
