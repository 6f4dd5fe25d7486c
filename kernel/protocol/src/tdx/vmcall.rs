//! Calls to the host. Source: GHCI 348552, chapter 3. Answers are the host's word.

use crate::error::{GuestFault, HostFault, Result, guest, host};
use crate::ghcb::request::{mask, narrow};
use crate::tdx::call::{module, vmcall, vmcall_raw};
use crate::traits::{Hypercall, Tdcall};
use tessera_defs::tdx::tdcall::{TdcallRegs, VP_VMCALL};
use tessera_defs::tdx::vmcall::*;
use tessera_defs::x86::PAGE_SIZE;

/// Calls in a row for one MapGPA that do not move on, at most.
const MAX_STALLS: usize = 16;

/// CPUID: EAX, EBX, ECX, EDX.
pub fn cpuid(call: &mut impl Tdcall, leaf: u32, subleaf: u32) -> Result<[u32; 4]> {
    let reply = vmcall(call, CPUID, [leaf.into(), subleaf.into(), 0, 0])?;
    let mut out = [0; 4];
    for (value, register) in out
        .iter_mut()
        .zip([reply.r12, reply.r13, reply.r14, reply.r15])
    {
        *value = narrow(CPUID, register, 4)? as u32;
    }
    Ok(out)
}

/// RDMSR. Errors: `Inject(13)` where the host has no such register.
pub fn rdmsr(call: &mut impl Tdcall, msr: u32) -> Result<u64> {
    let reply = vmcall_raw(call, RDMSR, [msr.into(), 0, 0, 0])?;
    msr_status(RDMSR, reply.status)?;
    Ok(reply.r11)
}

/// WRMSR. Errors: `Inject(13)` where the host has no such register.
pub fn wrmsr(call: &mut impl Tdcall, msr: u32, value: u64) -> Result<()> {
    msr_status(
        WRMSR,
        vmcall_raw(call, WRMSR, [msr.into(), value, 0, 0])?.status,
    )
}

/// GHCI 3.9, 3.10: INVALID_OPERAND stands for #GP.
fn msr_status(request: u64, status: u64) -> Result<()> {
    match status {
        SUCCESS => Ok(()),
        INVALID_OPERAND => host(HostFault::Inject(tessera_defs::x86::vector::GP)),
        code => host(HostFault::Refused { request, code }),
    }
}

/// IN of `size` bytes (1, 2, 4).
pub fn io_in(call: &mut impl Tdcall, port: u16, size: u8) -> Result<u32> {
    let size = checked_size(size, 4)?;
    let reply = vmcall(call, IO, [size.into(), 0, port.into(), 0])?;
    Ok(narrow(IO, reply.r11, size)? as u32)
}

/// OUT of `size` bytes (1, 2, 4).
pub fn io_out(call: &mut impl Tdcall, port: u16, size: u8, value: u32) -> Result<()> {
    let size = checked_size(size, 4)?;
    vmcall(
        call,
        IO,
        [size.into(), 1, port.into(), u64::from(value) & mask(size)],
    )?;
    Ok(())
}

/// MMIO read of `size` bytes (1, 2, 4, 8) at `gpa`.
pub fn mmio_read(call: &mut impl Tdcall, gpa: u64, size: u8) -> Result<u64> {
    let size = checked_size(size, 8)?;
    let reply = vmcall(call, MMIO, [size.into(), 0, gpa, 0])?;
    narrow(MMIO, reply.r11, size)
}

/// MMIO write of `size` bytes (1, 2, 4, 8) at `gpa`.
pub fn mmio_write(call: &mut impl Tdcall, gpa: u64, size: u8, value: u64) -> Result<()> {
    let size = checked_size(size, 8)?;
    vmcall(call, MMIO, [size.into(), 1, gpa, value & mask(size)])?;
    Ok(())
}

/// HLT; `blocked` says that interrupts are off.
pub fn hlt(call: &mut impl Tdcall, blocked: bool) -> Result<()> {
    vmcall(call, HLT, [blocked.into(), 0, 0, 0])?;
    Ok(())
}

/// Asks the host to end this guest, with `code` in bits 31:0. A host may ignore it: the caller
/// must halt afterwards.
pub fn fatal(call: &mut impl Tdcall, code: u32) {
    // The outcome changes nothing: the caller halts in any case.
    let _ = vmcall_raw(call, REPORT_FATAL_ERROR, [code.into(), 0, 0, 0]);
}

/// MapGPA: makes `len` bytes at `gpa` shared or private (`shared_bit` as a mask). A host may do
/// a part and ask to be called again, but must go forward.
/// Errors: `BadAddress`, `Refused`, `OutOfRange`, `NoProgress`.
pub fn map_gpa(
    call: &mut impl Tdcall,
    gpa: u64,
    len: u64,
    shared_bit: u64,
    shared: bool,
) -> Result<()> {
    let end = gpa.checked_add(len).filter(|end| *end <= shared_bit);
    let Some(end) = end.filter(|_| (gpa | len).is_multiple_of(PAGE_SIZE) && len != 0) else {
        return guest(GuestFault::BadAddress(gpa));
    };
    let bit = if shared { shared_bit } else { 0 };
    let (mut at, mut stalls) = (gpa, 0);
    loop {
        let reply = vmcall_raw(call, MAP_GPA, [at | bit, end - at, 0, 0])?;
        match reply.status {
            SUCCESS => return Ok(()),
            RETRY => {}
            code => {
                return host(HostFault::Refused {
                    request: MAP_GPA,
                    code,
                });
            }
        }
        let next = reply.r11 & !shared_bit;
        if next < at || next >= end || !next.is_multiple_of(PAGE_SIZE) {
            return host(HostFault::OutOfRange {
                request: MAP_GPA,
                value: reply.r11,
            });
        }
        stalls = if next == at { stalls + 1 } else { 0 };
        if stalls == MAX_STALLS {
            return host(HostFault::NoProgress { request: MAP_GPA });
        }
        at = next;
    }
}

/// Hyper-V hypercalls by TDVMCALL (`defs::tdx::vmcall::HYPERCALL_MASK`).
#[derive(Debug)]
pub struct VmcallHypercall<'a, T: Tdcall>(pub &'a mut T);

impl<T: Tdcall> Hypercall for VmcallHypercall<'_, T> {
    /// Where the module refuses the call, the result is HV_STATUS_OPERATION_DENIED (8).
    fn hypercall(&mut self, control: u64, input_gpa: u64, output_gpa: u64) -> u64 {
        let regs = TdcallRegs {
            rax: VP_VMCALL,
            rcx: HYPERCALL_MASK,
            rdx: input_gpa,
            r8: output_gpa,
            r10: control,
            ..Default::default()
        };
        module(self.0, "TDG.VP.VMCALL", regs).map_or(8, |out| out.r11)
    }
}

fn checked_size(size: u8, most: u8) -> Result<u8> {
    match size {
        1 | 2 | 4 | 8 if size <= most => Ok(size),
        other => guest(GuestFault::BadLength(other.into())),
    }
}
