//! Ring 3: entering it, and coming back by SYSCALL.
#![allow(unsafe_code)] // reason: MSRs of the system-call entry, assembly entry point

use crate::gdt::{KERNEL_CODE, KERNEL_DATA, USER_CODE, USER_DATA};
use crate::instr::{rdmsr, wrmsr};
use crate::trap::{self, SYSCALL, TrapFrame};
use core::arch::naked_asm;
use core::mem::offset_of;
use tessera_defs::x86::{
    MSR_EFER, MSR_GS_BASE, MSR_KERNEL_GS_BASE, MSR_LSTAR, MSR_SFMASK, MSR_STAR, efer,
};

/// RFLAGS of a new process: IF, and the bit that is always one.
const USER_RFLAGS: u64 = 1 << 9 | 1 << 1;
/// RFLAGS bits cleared on SYSCALL: TF, IF, DF, NT, AC and the arithmetic ones.
const SYSCALL_MASK: u64 = 0x4_47D5;

/// What SYSCALL finds at the kernel's GS base. One per processor, in static memory.
#[repr(C)]
#[derive(Debug, Default)]
pub struct CpuLocal {
    kernel_rsp: u64,
    user_rsp: u64,
}

/// Where the traps of ring 3 find the kernel's stack, from the GS base.
pub(crate) const KERNEL_RSP: usize = offset_of!(CpuLocal, kernel_rsp);

impl CpuLocal {
    /// Not installed yet.
    pub const fn new() -> Self {
        Self {
            kernel_rsp: 0,
            user_rsp: 0,
        }
    }

    /// Turns SYSCALL on: EFER.SCE, STAR, LSTAR, SFMASK, and both GS bases.
    ///
    /// # Safety
    /// `Segments::install` and `Idt::install` ran; `kernel_rsp`, 16-byte aligned, is the top of
    /// a mapped stack that is nothing else's (it may be RSP0's: ring 3 uses one at a time).
    pub unsafe fn install(&'static mut self, kernel_rsp: u64) {
        assert!(kernel_rsp.is_multiple_of(16));
        self.kernel_rsp = kernel_rsp;
        let star = u64::from(KERNEL_CODE) << 32 | u64::from(KERNEL_DATA | 3) << 48;
        // SAFETY: architectural registers; the entry point expects exactly this state.
        unsafe {
            wrmsr(MSR_STAR, star);
            wrmsr(MSR_LSTAR, syscall_entry as *const () as u64);
            wrmsr(MSR_SFMASK, SYSCALL_MASK);
            wrmsr(MSR_GS_BASE, &raw const *self as u64);
            wrmsr(MSR_KERNEL_GS_BASE, 0);
            let old = rdmsr(MSR_EFER);
            if old & efer::SCE == 0 {
                wrmsr(MSR_EFER, old | efer::SCE);
            }
        }
    }
}

/// Registers of a new process: entry point, stack, interrupts on, all else zero.
pub fn new_frame(entry: u64, stack: u64) -> TrapFrame {
    TrapFrame {
        rip: entry,
        cs: u64::from(USER_CODE),
        rflags: USER_RFLAGS,
        rsp: stack,
        ss: u64::from(USER_DATA),
        ..Default::default()
    }
}

/// Goes to ring 3 with `frame`, by IRETQ. The way back is a trap or a system call, on the
/// stack's top: nothing of the caller's stack is kept.
///
/// # Safety
/// `CpuLocal::install` ran; the current page tables map nothing of the kernel for ring 3.
/// Panics where the frame is not one of ring 3.
pub unsafe fn enter(frame: &TrapFrame) -> ! {
    assert!(frame.cs == u64::from(USER_CODE) && frame.ss == u64::from(USER_DATA));
    // SAFETY: the frame is one of ring 3; the rest is the caller's promise.
    unsafe { trap::restore(frame) }
}

/// LSTAR. Builds the same frame as a trap, so that one way back serves both: IRETQ, which has
/// none of SYSRET's trouble with non-canonical addresses.
#[unsafe(naked)]
unsafe extern "C" fn syscall_entry() {
    naked_asm!(
        "swapgs",
        "mov gs:[{user_rsp}], rsp",
        "mov rsp, gs:[{kernel_rsp}]",
        "push {ss}",
        "push gs:[{user_rsp}]",
        "push r11",
        "push {cs}",
        "push rcx",
        "push 0",
        "push {syscall}",
        "jmp {save}",
        user_rsp = const offset_of!(CpuLocal, user_rsp),
        kernel_rsp = const KERNEL_RSP,
        ss = const USER_DATA,
        cs = const USER_CODE,
        syscall = const SYSCALL,
        save = sym trap::save_and_dispatch,
    )
}
