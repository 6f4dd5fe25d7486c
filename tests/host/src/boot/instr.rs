//! Instructions of the host itself, as safe functions.
#![allow(unsafe_code)] // Reason: port I/O, MSRs and interrupt flags are instructions.

use core::arch::asm;

/// OUT, 8 bits.
pub fn out8(port: u16, value: u8) {
    // SAFETY: the host owns every port of its machine; ports do not alias Rust memory.
    unsafe { asm!("out dx, al", in("dx") port, in("al") value, options(nomem, nostack)) }
}

/// OUT, 16 bits.
pub fn out16(port: u16, value: u16) {
    // SAFETY: as `out8`.
    unsafe { asm!("out dx, ax", in("dx") port, in("ax") value, options(nomem, nostack)) }
}

/// OUT, 32 bits. DMA devices may write memory, so this is a compiler barrier.
pub fn out32(port: u16, value: u32) {
    // SAFETY: as `out8`; fw_cfg's DMA target is owned by the caller.
    unsafe { asm!("out dx, eax", in("dx") port, in("eax") value, options(nostack)) }
}

/// IN, 8 bits.
pub fn in8(port: u16) -> u8 {
    let value: u8;
    // SAFETY: as `out8`.
    unsafe { asm!("in al, dx", in("dx") port, out("al") value, options(nomem, nostack)) }
    value
}

/// WRMSR.
pub fn wrmsr(msr: u32, value: u64) {
    // SAFETY: the host writes only MSRs that set up SVM and its own timer.
    unsafe {
        asm!("wrmsr", in("ecx") msr, in("eax") value as u32, in("edx") (value >> 32) as u32,
            options(nostack));
    }
}

/// RDMSR.
pub fn rdmsr(msr: u32) -> u64 {
    let (low, high): (u32, u32);
    // SAFETY: reading an MSR that exists on every SVM machine has no effect on memory.
    unsafe {
        asm!("rdmsr", in("ecx") msr, out("eax") low, out("edx") high, options(nomem, nostack));
    }
    u64::from(high) << 32 | u64::from(low)
}

/// RDTSC: one tick is one instruction under `-icount shift=0`.
pub fn rdtsc() -> u64 {
    let (low, high): (u32, u32);
    // SAFETY: reads a counter.
    unsafe { asm!("rdtsc", out("eax") low, out("edx") high, options(nomem, nostack)) }
    u64::from(high) << 32 | u64::from(low)
}

/// Takes interrupts that wait, then closes the window again. Needs a loaded IDT.
pub fn take_interrupts() {
    // SAFETY: the IDT was loaded by `idt::load` before the first call; handlers only end the
    // interrupt.
    unsafe { asm!("stgi", "sti", "nop", "nop", "cli", options(nostack)) }
}

/// CPUID of the machine below.
pub fn cpuid(leaf: u32, sub: u32) -> [u32; 4] {
    let found = core::arch::x86_64::__cpuid_count(leaf, sub);
    [found.eax, found.ebx, found.ecx, found.edx]
}

/// Components of the extended state that this machine has, for XCR0; `None` without XSAVE.
pub fn xsave_bits() -> Option<u64> {
    if cpuid(1, 0)[2] >> 26 & 1 == 0 {
        return None;
    }
    let [low, _, _, high] = cpuid(0xD, 0);
    Some(u64::from(high) << 32 | u64::from(low))
}

/// Lets the host use XSAVE and XCR0: CR4.OSXSAVE.
pub fn enable_xsave() {
    if xsave_bits().is_some() {
        // SAFETY: the bit only makes instructions legal.
        unsafe {
            asm!("mov {0}, cr4", "or {0}, {1}", "mov cr4, {0}", out(reg) _, const 1 << 18,
                options(nomem, nostack));
        }
    }
}

/// XGETBV of XCR0, after `enable_xsave`.
pub fn xgetbv() -> u64 {
    let (low, high): (u32, u32);
    // SAFETY: reads a register.
    unsafe {
        asm!("xgetbv", in("ecx") 0, out("eax") low, out("edx") high, options(nomem, nostack));
    }
    u64::from(high) << 32 | u64::from(low)
}

/// XSETBV of XCR0, after `enable_xsave`, with bits of `xsave_bits` or a guest's own value.
pub fn xsetbv(value: u64) {
    // SAFETY: the host itself uses no extended state.
    unsafe {
        asm!("xsetbv", in("ecx") 0, in("eax") value as u32, in("edx") (value >> 32) as u32,
            options(nomem, nostack));
    }
}
