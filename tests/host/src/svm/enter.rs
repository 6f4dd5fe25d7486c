//! VMRUN: the only way into a guest.
#![allow(unsafe_code)] // Reason: VMRUN and the registers around it are assembly.

use super::vcpu::{Vcpu, reg};
use crate::boot::instr;
use core::arch::global_asm;

// RDI = VMCB, RSI = registers (order of `reg`). FPU state is the caller's. Interrupts are held by
// CLGI until VMRUN; STI comes long before, because under QEMU its shadow would pass into the guest
// and stand in the VMCB where the guest's first instruction exits.
global_asm!(
    r#"
    .text
    .global host_vmrun
host_vmrun:
    push rbx
    push rbp
    push r12
    push r13
    push r14
    push r15
    push rsi
    push rdi
    rdtsc
    shl rdx, 32
    or rax, rdx
    push rax
    mov rax, rdi
    clgi
    sti
    vmload rax
    mov rcx, [rsi + 8]
    mov rdx, [rsi + 16]
    mov rbx, [rsi + 24]
    mov rbp, [rsi + 40]
    mov rdi, [rsi + 56]
    mov r8, [rsi + 64]
    mov r9, [rsi + 72]
    mov r10, [rsi + 80]
    mov r11, [rsi + 88]
    mov r12, [rsi + 96]
    mov r13, [rsi + 104]
    mov r14, [rsi + 112]
    mov r15, [rsi + 120]
    mov rsi, [rsi + 48]
    vmrun rax
    cli
    push rsi
    mov rsi, [rsp + 24]
    mov [rsi + 8], rcx
    mov [rsi + 16], rdx
    mov [rsi + 24], rbx
    mov [rsi + 40], rbp
    mov [rsi + 56], rdi
    mov [rsi + 64], r8
    mov [rsi + 72], r9
    mov [rsi + 80], r10
    mov [rsi + 88], r11
    mov [rsi + 96], r12
    mov [rsi + 104], r13
    mov [rsi + 112], r14
    mov [rsi + 120], r15
    pop rax
    mov [rsi + 48], rax
    rdtsc
    shl rdx, 32
    or rax, rdx
    pop rdx
    sub rax, rdx
    mov rdx, rax
    pop rax
    vmsave rax
    mov rax, rdx
    pop rsi
    pop r15
    pop r14
    pop r13
    pop r12
    pop rbp
    pop rbx
    ret
    "#
);

/// Instructions of `host_vmrun` between its two readings of the time stamp, of which QEMU makes one
/// tick each: what is left is the guest's. VMRUN is among them.
const OWN: u64 = 41;

unsafe extern "C" {
    fn host_vmrun(vmcb: *mut super::vmcb::Vmcb, regs: *mut u64) -> u64;
}

#[repr(C, align(4096))]
struct HostSave([u8; 4096]);
static mut HOST_SAVE: HostSave = HostSave([0; 4096]);

/// EFER.SVME is set by the entry; names the processor's own save area (VM_HSAVE_PA).
pub fn enable() {
    instr::enable_xsave();
    instr::wrmsr(0xC001_0117, (&raw const HOST_SAVE) as u64);
}

/// Runs the context until its next exit.
pub fn enter(vcpu: &mut Vcpu) {
    vcpu.vmcb.save.rax = vcpu.regs[reg::RAX];
    vcpu.vmcb.save.rsp = vcpu.regs[reg::RSP];
    vcpu.vmcb.control.clean = 0;
    // SAFETY: the VMCB is a page of our own, its bitmaps and nested tables outlive the context,
    // and nested tables map only frames of the guest's pool.
    let ticks = unsafe { host_vmrun(&raw mut *vcpu.vmcb, vcpu.regs.as_mut_ptr()) };
    vcpu.ran = ticks.saturating_sub(OWN);
    instr::take_interrupts();
    vcpu.regs[reg::RAX] = vcpu.vmcb.save.rax;
    vcpu.regs[reg::RSP] = vcpu.vmcb.save.rsp;
}

/// TSC_AUX.
const MSR_TSC_AUX: u32 = 0xC000_0103;

/// Saves what VMRUN does not switch, of the context that ran last.
pub fn save_fpu(vcpu: &mut Vcpu) {
    vcpu.unswitched[1] = instr::rdmsr(MSR_TSC_AUX);
    let area = vcpu.fpu.0.as_mut_ptr();
    let Some(all) = instr::xsave_bits() else {
        // SAFETY: the area is more than 512 bytes, aligned to 16.
        return unsafe { core::arch::asm!("fxsave64 [{}]", in(reg) area, options(nostack)) };
    };
    vcpu.unswitched[0] = instr::xgetbv();
    instr::xsetbv(all);
    // SAFETY: the area is aligned to 64 and larger than all components of this machine.
    unsafe {
        core::arch::asm!("xsave64 [{}]", in(reg) area, in("eax") u32::MAX, in("edx") u32::MAX,
            options(nostack));
    }
}

/// Loads what VMRUN does not switch, of the context that runs next.
pub fn load_fpu(vcpu: &Vcpu) {
    instr::wrmsr(MSR_TSC_AUX, vcpu.unswitched[1]);
    let area = vcpu.fpu.0.as_ptr();
    let Some(all) = instr::xsave_bits() else {
        // SAFETY: as `save_fpu`; the host itself is built without floating point.
        return unsafe { core::arch::asm!("fxrstor64 [{}]", in(reg) area, options(nostack)) };
    };
    instr::xsetbv(all);
    // SAFETY: as `save_fpu`; the header is zero or XSAVE's.
    unsafe {
        core::arch::asm!("xrstor64 [{}]", in(reg) area, in("eax") u32::MAX, in("edx") u32::MAX,
            options(nostack));
    }
    instr::xsetbv(vcpu.unswitched[0]);
}
