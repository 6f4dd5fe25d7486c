//! Ring 3: entering it, and coming back by SYSCALL.
#![allow(unsafe_code)] // reason: MSRs of the system-call entry, assembly entry point

use crate::gdt::{KERNEL_CODE, KERNEL_DATA, PROCESSORS, USER_CODE, USER_DATA};
use crate::instr::{rdmsr, wrmsr};
use crate::trap::TrapFrame;
use core::arch::{asm, naked_asm};
use core::mem::offset_of;
use tessera_defs::x86::{
    MSR_EFER, MSR_FS_BASE, MSR_GS_BASE, MSR_KERNEL_GS_BASE, MSR_LSTAR, MSR_SFMASK, MSR_STAR, efer,
};

/// RFLAGS of a new process: IF, and the bit that is always one.
const USER_RFLAGS: u64 = 1 << 9 | 1 << 1;
/// RFLAGS bits cleared on SYSCALL: TF, IF, DF, NT, AC and the arithmetic ones.
const SYSCALL_MASK: u64 = 0x4_47D5;

/// Serves the system call whose registers stand at the frame. It ends by `enter`, and so saves no
/// registers for a caller.
pub type Handler = extern "sysv64" fn(*mut TrapFrame) -> !;

/// Number of this processor, by GS. Where GS may have ring 3's base (an event that a host forces
/// in): `gdt::number`.
#[inline(always)]
pub fn number() -> u8 {
    let number: u32;
    // SAFETY: reads a byte of `CpuLocal`, which does not change after `install`.
    unsafe {
        asm!("movzx {:e}, byte ptr gs:[{}]", out(reg) number,
            const offset_of!(CpuLocal, number), options(pure, readonly, nostack, preserves_flags));
    }
    // SAFETY: `install` checked it.
    unsafe { core::hint::assert_unchecked(number < PROCESSORS as u32) }
    number as u8
}

/// What SYSCALL finds at the kernel's GS base. One per processor, in static memory.
#[repr(C)]
#[derive(Debug)]
pub struct CpuLocal {
    kernel_rsp: u64,
    user_rsp: u64,
    /// Where the running thread's registers go.
    frame: u64,
    handler: Handler,
    number: u8,
    /// DS, ES, FS and GS, as `leave_no_selectors` found them.
    selectors: u64,
}

/// Until a handler is named.
extern "sysv64" fn nobody(_: *mut TrapFrame) -> ! {
    crate::instr::halt_forever()
}

/// Where the traps of ring 3 find the kernel's stack, from the GS base.
pub const KERNEL_RSP: usize = offset_of!(CpuLocal, kernel_rsp);

impl Default for CpuLocal {
    fn default() -> Self {
        Self::new()
    }
}

impl CpuLocal {
    /// Not installed yet.
    pub const fn new() -> Self {
        Self {
            kernel_rsp: 0,
            user_rsp: 0,
            frame: 0,
            handler: nobody,
            number: 0,
            selectors: 0,
        }
    }

    /// Turns SYSCALL on: EFER.SCE, STAR, LSTAR, SFMASK, and both GS bases.
    ///
    /// # Safety
    /// `Segments::install` and `Idt::install` ran; `kernel_rsp`, 16-byte aligned, is the top of
    /// a mapped stack that is nothing else's (it may be RSP0's: ring 3 uses one at a time).
    /// The handler keeps its promise about frames.
    pub unsafe fn install(&'static mut self, number: u8, kernel_rsp: u64, handler: Handler) {
        assert!(kernel_rsp.is_multiple_of(16) && usize::from(number) < PROCESSORS);
        self.number = number;
        self.kernel_rsp = kernel_rsp;
        self.handler = handler;
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

/// Goes to ring 3 with the registers at `frame`, which the next system call will save there
/// again. Nothing of the caller's stack is kept.
///
/// # Safety
/// `CpuLocal::install` ran, and GS has the kernel's base. The frame is one of ring 3, with CS and
/// SS as `new_frame` sets them, and stays where it is; nothing else uses it until the next system
/// call or trap. The current page tables map nothing of the kernel for ring 3.
#[inline(always)]
pub unsafe fn enter(frame: *mut TrapFrame) -> ! {
    // SAFETY: the caller's promise; the kernel's stack is empty from here on.
    unsafe {
        asm!("mov rsp, gs:[{kernel_rsp}]", "jmp {resume}", kernel_rsp = const KERNEL_RSP,
            resume = sym resume, in("rdi") frame, options(noreturn))
    }
}

/// A naked body of these lines, which may name the fields of a `TrapFrame` and those of `CpuLocal`
/// that follow the lines.
macro_rules! frame_asm {
    ($($line:expr),*; $($local:ident),*) => {
        naked_asm!(
            $($line,)*
            $($local = const offset_of!(CpuLocal, $local),)*
            rax = const offset_of!(TrapFrame, rax),
            rbx = const offset_of!(TrapFrame, rbx),
            rcx = const offset_of!(TrapFrame, rcx),
            rdx = const offset_of!(TrapFrame, rdx),
            rsi = const offset_of!(TrapFrame, rsi),
            rdi = const offset_of!(TrapFrame, rdi),
            rbp = const offset_of!(TrapFrame, rbp),
            r8 = const offset_of!(TrapFrame, r8),
            r9 = const offset_of!(TrapFrame, r9),
            r10 = const offset_of!(TrapFrame, r10),
            r11 = const offset_of!(TrapFrame, r11),
            r12 = const offset_of!(TrapFrame, r12),
            r13 = const offset_of!(TrapFrame, r13),
            r14 = const offset_of!(TrapFrame, r14),
            r15 = const offset_of!(TrapFrame, r15),
            rip = const offset_of!(TrapFrame, rip),
            cs = const offset_of!(TrapFrame, cs),
            rflags = const offset_of!(TrapFrame, rflags),
            rsp = const offset_of!(TrapFrame, rsp),
            ss = const offset_of!(TrapFrame, ss),
        )
    };
}

/// The lines that load the registers at RDI and go to ring 3. The stack is the kernel's, empty.
macro_rules! to_ring_3 {
    () => {
        concat!(
            "mov gs:[{frame}], rdi\n",
            "push [rdi + {ss}]\n",
            "push [rdi + {rsp}]\n",
            "push [rdi + {rflags}]\n",
            "push [rdi + {cs}]\n",
            "push [rdi + {rip}]\n",
            "mov rax, [rdi + {rax}]\n",
            "mov rbx, [rdi + {rbx}]\n",
            "mov rcx, [rdi + {rcx}]\n",
            "mov rdx, [rdi + {rdx}]\n",
            "mov rsi, [rdi + {rsi}]\n",
            "mov rbp, [rdi + {rbp}]\n",
            "mov r8, [rdi + {r8}]\n",
            "mov r9, [rdi + {r9}]\n",
            "mov r10, [rdi + {r10}]\n",
            "mov r11, [rdi + {r11}]\n",
            "mov r12, [rdi + {r12}]\n",
            "mov r13, [rdi + {r13}]\n",
            "mov r14, [rdi + {r14}]\n",
            "mov r15, [rdi + {r15}]\n",
            "mov rdi, [rdi + {rdi}]\n",
            "swapgs\n",
            "iretq",
        )
    };
}

/// LSTAR. Saves the thread's registers where `enter` or the last return found them, and calls
/// the handler on the kernel's stack. RSP never points into a frame: an event that a host forces
/// in here finds an interrupt stack, and after the switch the kernel's own.
#[unsafe(naked)]
unsafe extern "C" fn syscall_entry() {
    frame_asm!(
        "swapgs",
        "mov gs:[{user_rsp}], rsp",
        "mov rsp, gs:[{kernel_rsp}]",
        "push rcx",
        "mov rcx, gs:[{frame}]",
        "mov [rcx + {rax}], rax",
        "mov [rcx + {rbx}], rbx",
        "mov [rcx + {rdx}], rdx",
        "mov [rcx + {rsi}], rsi",
        "mov [rcx + {rdi}], rdi",
        "mov [rcx + {rbp}], rbp",
        "mov [rcx + {r8}], r8",
        "mov [rcx + {r9}], r9",
        "mov [rcx + {r10}], r10",
        "mov [rcx + {r12}], r12",
        "mov [rcx + {r13}], r13",
        "mov [rcx + {r14}], r14",
        "mov [rcx + {r15}], r15",
        "mov [rcx + {rflags}], r11",
        "pop [rcx + {rip}]",
        "mov rdx, gs:[{user_rsp}]",
        "mov [rcx + {rsp}], rdx",
        "mov rdi, rcx",
        "call gs:[{handler}]",
        // Fields that only the way back has a use for.
        "/* {rcx} {r11} {cs} {ss} */";
        user_rsp, kernel_rsp, frame, handler
    )
}

/// Where `enter` goes, with the frame in RDI.
#[unsafe(naked)]
unsafe extern "C" fn resume() {
    frame_asm!(to_ring_3!(); frame)
}

/// Makes DS, ES, FS and GS null if ring 3 left another selector there; the FS base is `tls` then: one in FS
/// gave it another. GS has the kernel's base. Ring 3 never has another GS base than 0.
#[inline(always)]
pub fn leave_no_selectors(tls: u64) {
    // SAFETY: stores to a field of `CpuLocal` that only these lines use, so that it is none of the compiler's
    // memory, and compares it.
    unsafe {
        asm!(
            "mov word ptr gs:[{at}], ds",
            "mov word ptr gs:[{at} + 2], es",
            "mov word ptr gs:[{at} + 4], fs",
            "mov word ptr gs:[{at} + 6], gs",
            "cmp qword ptr gs:[{at}], 0",
            "jne {dirty}",
            at = const offset_of!(CpuLocal, selectors),
            dirty = label { clear_selectors(tls) },
            options(nostack, nomem)
        )
    }
}

#[cold]
#[inline(never)]
fn clear_selectors(tls: u64) {
    // SAFETY: 64-bit code uses none of their descriptors. A null selector in GS may clear the base, which is ring
    // 3's meanwhile, and 0 anyway.
    unsafe {
        asm!("mov ds, {0:e}", "mov es, {0:e}", "mov fs, {0:e}", "swapgs", "mov gs, {0:e}", "swapgs",
            in(reg) 0u32, options(nostack, preserves_flags));
        set_tls(tls);
    }
}

/// Sets the FS base that ring 3 will see.
///
/// # Safety
/// `base` is an address of the user's half; the kernel itself uses no FS.
pub unsafe fn set_tls(base: u64) {
    // SAFETY: an architectural register that only ring 3 reads through.
    unsafe { wrmsr(MSR_FS_BASE, base) }
}
