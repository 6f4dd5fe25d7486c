//! Instructions of SEV-SNP, TDX and hypercalls, raw. Encodings are given as bytes, so that
//! every assembler takes them. Sources: APM vol. 3 (24594), Intel SDM vol. 2 and 348551.
#![allow(unsafe_code)] // reason: instructions, one of them with more registers than asm! takes

use core::arch::{asm, naked_asm};
use core::mem::offset_of;
use tessera_defs::tdx::tdcall::TdcallRegs;

/// VMGEXIT (F3 0F 01 D9).
///
/// # Safety
/// SEV-ES or later is active, and the GHCB MSR holds a request or the address of a filled-in
/// GHCB whose effects (page states, other VMPLs) leave all live Rust memory as it is.
pub unsafe fn vmgexit() {
    // SAFETY: the caller's promise; registers are not changed by the exit.
    unsafe { asm!(".byte 0xf3, 0x0f, 0x01, 0xd9", options(nostack)) }
}

/// PVALIDATE (F2 0F 01 FF): EAX status (`defs::snp::rmp`), and whether the page was in that
/// state already (CF).
///
/// # Safety
/// SNP is active; `virt` is mapped private; no live object stands in the page.
pub unsafe fn pvalidate(virt: u64, large: bool, validate: bool) -> (u32, bool) {
    let (status, unchanged): (u64, u8);
    // SAFETY: writes EAX and flags; the page's contents are the caller's promise.
    unsafe {
        asm!(".byte 0xf2, 0x0f, 0x01, 0xff", "setc {c}", c = out(reg_byte) unchanged,
            inout("rax") virt => status, in("ecx") u32::from(large),
            in("edx") u32::from(validate), options(nostack));
    }
    (status as u32, unchanged != 0)
}

/// RMPADJUST (F3 0F 01 FE): EAX status. `attributes` as `defs::snp::rmp::ATTR_*`.
///
/// # Safety
/// SNP is active; `virt` is mapped; the target VMPL may have the page.
pub unsafe fn rmpadjust(virt: u64, large: bool, attributes: u64) -> u32 {
    let status: u64;
    // SAFETY: writes EAX and flags; giving away the page is the caller's promise.
    unsafe {
        asm!(".byte 0xf3, 0x0f, 0x01, 0xfe", inout("rax") virt => status,
            in("rcx") u64::from(large), in("rdx") attributes, options(nostack));
    }
    status as u32
}

/// VMMCALL (0F 01 D9) as a Hyper-V hypercall: RCX control, RDX input, R8 output; RAX result.
///
/// # Safety
/// A hypervisor of AMD's kind takes it; the call's effects leave live Rust memory as it is.
pub unsafe fn vmmcall(control: u64, input_gpa: u64, output_gpa: u64) -> u64 {
    let result: u64;
    // SAFETY: the caller's promise; TLFS 3.7 lists the volatile registers.
    unsafe {
        asm!(".byte 0x0f, 0x01, 0xd9", out("rax") result, inout("rcx") control => _,
            inout("rdx") input_gpa => _, inout("r8") output_gpa => _, out("r9") _,
            out("r10") _, out("r11") _, options(nostack));
    }
    result
}

/// VMCALL (0F 01 C1) as a Hyper-V hypercall: RCX control, RDX input, R8 output; RAX result.
///
/// # Safety
/// As `vmmcall`, for a hypervisor of Intel's kind.
pub unsafe fn vmcall(control: u64, input_gpa: u64, output_gpa: u64) -> u64 {
    let result: u64;
    // SAFETY: as in `vmmcall`.
    unsafe {
        asm!(".byte 0x0f, 0x01, 0xc1", out("rax") result, inout("rcx") control => _,
            inout("rdx") input_gpa => _, inout("r8") output_gpa => _, out("r9") _,
            out("r10") _, out("r11") _, options(nostack));
    }
    result
}

/// TDCALL (66 0F 01 CC) with every register that a leaf may use.
///
/// # Safety
/// A TDX module takes it; the leaf's effects (page states, L2 entry, what a TDVMCALL makes the
/// host do) leave all live Rust memory as it is, except what the registers name.
pub unsafe fn tdcall(regs: &mut TdcallRegs) {
    // SAFETY: `regs` is valid for reads and writes; effects are the caller's promise.
    unsafe { tdcall_raw(regs) }
}

/// Loads the registers from `*regs`, TDCALL, stores them all back.
#[unsafe(naked)]
unsafe extern "sysv64" fn tdcall_raw(regs: *mut TdcallRegs) {
    naked_asm!(
        "push rbx", "push rbp", "push r12", "push r13", "push r14", "push r15", "push rdi",
        "mov rax, [rdi + {rax}]", "mov rcx, [rdi + {rcx}]", "mov rdx, [rdi + {rdx}]",
        "mov rbx, [rdi + {rbx}]", "mov rsi, [rdi + {rsi}]", "mov r8, [rdi + {r8}]",
        "mov r9, [rdi + {r9}]", "mov r10, [rdi + {r10}]", "mov r11, [rdi + {r11}]",
        "mov r12, [rdi + {r12}]", "mov r13, [rdi + {r13}]", "mov r14, [rdi + {r14}]",
        "mov r15, [rdi + {r15}]", "mov rdi, [rdi + {rdi}]",
        ".byte 0x66, 0x0f, 0x01, 0xcc",
        "xchg rdi, [rsp]",
        "mov [rdi + {rax}], rax", "mov [rdi + {rcx}], rcx", "mov [rdi + {rdx}], rdx",
        "mov [rdi + {rbx}], rbx", "mov [rdi + {rsi}], rsi", "mov [rdi + {r8}], r8",
        "mov [rdi + {r9}], r9", "mov [rdi + {r10}], r10", "mov [rdi + {r11}], r11",
        "mov [rdi + {r12}], r12", "mov [rdi + {r13}], r13", "mov [rdi + {r14}], r14",
        "mov [rdi + {r15}], r15", "pop rax", "mov [rdi + {rdi}], rax",
        "pop r15", "pop r14", "pop r13", "pop r12", "pop rbp", "pop rbx", "ret",
        rax = const offset_of!(TdcallRegs, rax), rcx = const offset_of!(TdcallRegs, rcx),
        rdx = const offset_of!(TdcallRegs, rdx), rbx = const offset_of!(TdcallRegs, rbx),
        rsi = const offset_of!(TdcallRegs, rsi), rdi = const offset_of!(TdcallRegs, rdi),
        r8 = const offset_of!(TdcallRegs, r8), r9 = const offset_of!(TdcallRegs, r9),
        r10 = const offset_of!(TdcallRegs, r10), r11 = const offset_of!(TdcallRegs, r11),
        r12 = const offset_of!(TdcallRegs, r12), r13 = const offset_of!(TdcallRegs, r13),
        r14 = const offset_of!(TdcallRegs, r14), r15 = const offset_of!(TdcallRegs, r15),
    )
}
