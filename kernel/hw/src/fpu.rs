//! Vector registers of user threads. The kernel itself is compiled soft-float and never touches
//! them. Source: Intel SDM vol. 1, 13 (XSAVE); vol. 1, 10.5 (FXSAVE).
#![allow(unsafe_code)] // reason: control registers, XSETBV, XSAVE, XRSTOR

use crate::instr::{cr0, cr4, set_cr0, set_cr4};
use core::arch::asm;
use core::sync::atomic::{AtomicU32, Ordering};

/// x87, SSE and AVX state in the standard format: 512 + 64 + 256 bytes (SDM vol. 1, 13.4).
pub const AREA: usize = 832;
/// Threads by number.
pub const THREADS: usize = 256;
const CR0_MP: u64 = 1 << 1;
const CR0_EM: u64 = 1 << 2;
const CR0_TS: u64 = 1 << 3;
const CR4_OSFXSR: u64 = 1 << 9;
const CR4_OSXMMEXCPT: u64 = 1 << 10;
const CR4_OSXSAVE: u64 = 1 << 18;
const X87_SSE: u32 = 0b011;
const AVX: u32 = 0b100;
/// Reset values: control word of the x87, MXCSR (SDM vol. 3, table 9-1; FNINIT).
const FCW: u16 = 0x37F;
const MXCSR: u32 = 0x1F80;

/// Components in XCR0; 0 where the processor has no XSAVE.
static COMPONENTS: AtomicU32 = AtomicU32::new(0);

/// Saved registers of one thread.
#[repr(C, align(64))]
#[derive(Clone, Copy, Debug)]
pub struct Area([u8; AREA]);

impl Area {
    /// Zero, which is no state that may be loaded.
    const ZERO: Self = Self([0; AREA]);

    /// The state after reset.
    fn reset(&mut self) {
        self.0.fill(0);
        self.0[0..2].copy_from_slice(&FCW.to_le_bytes());
        self.0[24..28].copy_from_slice(&MXCSR.to_le_bytes());
    }
}

/// Lets user threads use SSE, and AVX where `avx`. `xsave` and `avx` are CPUID's word (leaf 1,
/// ECX bits 26 and 28); one that lies makes an instruction here raise #GP or #UD.
///
/// # Safety
/// Ring 0, long mode; called once, before the first thread.
pub unsafe fn enable(xsave: bool, avx: bool) {
    let wanted0 = cr0() & !(CR0_EM | CR0_TS) | CR0_MP;
    let wanted4 = cr4() | CR4_OSFXSR | CR4_OSXMMEXCPT;
    // SAFETY: paging and protection stay on; SSE exists in long mode. Where the bits are set
    // already nothing is written: below a paravisor a write can be a host call.
    unsafe {
        if cr0() != wanted0 {
            set_cr0(wanted0);
        }
        if cr4() != wanted4 {
            set_cr4(wanted4);
        }
    }
    if !xsave {
        return;
    }
    let components = X87_SSE | if avx { AVX } else { 0 };
    // SAFETY: the processor has XSAVE; XCR0 gets components that it has, x87 among them.
    unsafe {
        set_cr4(cr4() | CR4_OSXSAVE);
        asm!("xsetbv", in("ecx") 0, in("eax") components, in("edx") 0, options(nostack));
    }
    COMPONENTS.store(components, Ordering::Relaxed);
}

/// Registers of every thread that there can be, by number.
static mut AREAS: [Area; THREADS] = [Area::ZERO; THREADS];

/// Gives thread `number` the state after reset.
///
/// # Safety
/// Nobody else is in here; the thread runs nowhere.
pub unsafe fn reset(number: u8) {
    let areas = &raw mut AREAS;
    // SAFETY: the caller's promise.
    unsafe { (*areas)[usize::from(number)].reset() }
}

/// Saves the processor's registers as thread `from`'s and loads those of `to`, another one.
///
/// # Safety
/// `enable` ran, nobody else is in here, and `to` had `reset` or an earlier `switch`.
#[inline(always)]
pub unsafe fn switch(from: u8, to: u8) {
    let from = usize::from(from) * size_of::<Area>();
    let to = usize::from(to) * size_of::<Area>();
    let components = COMPONENTS.load(Ordering::Relaxed);
    // SAFETY: two areas of the array, aligned and large enough for the components; `to` is valid.
    unsafe {
        if components != 0 {
            asm!("xsave64 [{from} + {areas}]", "xrstor64 [{to} + {areas}]", from = in(reg) from,
                to = in(reg) to, areas = sym AREAS, in("eax") components, in("edx") 0, options(nostack));
        } else {
            unlikely();
            asm!("fxsave64 [{from} + {areas}]", "fxrstor64 [{to} + {areas}]", from = in(reg) from,
                to = in(reg) to, areas = sym AREAS, options(nostack));
        }
    }
}

/// Marks the way that few processors take, without leaving it.
#[cold]
#[inline]
fn unlikely() {}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_reset_state_is_what_the_processor_resets_to() {
        let mut area = Area([0xFF; AREA]);
        area.reset();
        assert_eq!(area.0[..2], [0x7F, 0x03]);
        assert_eq!(area.0[24..28], [0x80, 0x1F, 0, 0]);
        assert!(area.0[28..].iter().all(|byte| *byte == 0));
        assert_eq!(align_of::<Area>(), 64);
    }
}
