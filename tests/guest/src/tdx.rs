//! What a guest can do wrong on TDX.
#![allow(unsafe_code)] // reason: breaks the promises of tessera-hw on purpose

use crate::window::{BEYOND, FREE, Guest, RAM, put, touch};
use tessera_defs::breach;
use tessera_defs::hyperv as hv;
use tessera_defs::port::{PM1A_CNT, PM1A_SOFT_OFF};
use tessera_defs::refusal::Refusal;
use tessera_defs::tdx::tdcall::{self, TdcallRegs};
use tessera_defs::tdx::vmcall;
use tessera_hw::isolation;

/// Every deed by its act, which is named after its breach.
pub const DEEDS: crate::Deeds = &[
    (breach::UNVALIDATED_ACCESS.name, |guest| {
        touch(guest.private(RAM));
    }),
    (breach::DOUBLE_VALIDATION.name, |_| {
        leaf(tdcall::MEM_PAGE_ACCEPT, FREE)
    }),
    (breach::C_BIT_MISSING.name, |guest| {
        touch(guest.shared(FREE));
    }),
    (breach::SHARED_AS_PRIVATE.name, |guest| {
        share(guest, FREE, 4096);
        touch(guest.private(FREE));
    }),
    (breach::UNALIGNED_ACCEPT.name, |_| {
        leaf(tdcall::MEM_PAGE_ACCEPT, RAM | 0x800)
    }),
    (breach::TDCALL_UNKNOWN.name, |_| leaf(0xEEE, 0)),
    ("fatal-error", |_| {
        let code = u64::from(Refusal::Starved.code());
        call_with([
            vmcall::REPORT_FATAL_ERROR,
            vmcall::FATAL_TESSERA | code,
            0,
            0,
            0,
        ]);
    }),
    (breach::TDCALL_OPERAND.name, |_| {
        leaf(tdcall::MR_REPORT, FREE | 1)
    }),
    (breach::VMCALL_MALFORMED.name, |_| {
        call(0xC00, [vmcall::CPUID, 0, 0])
    }),
    (breach::VMCALL_LEAK.name, |_| {
        let mut regs = TdcallRegs {
            rax: tdcall::VP_VMCALL,
            rcx: vmcall::STANDARD_MASK | 1 << 2,
            rdx: 0x5EC2E7,
            r11: vmcall::CPUID,
            ..TdcallRegs::default()
        };
        // SAFETY: as in `leaf`.
        unsafe { isolation::tdcall(&mut regs) };
    }),
    (breach::MAP_GPA_INPUT.name, |guest| {
        share(guest, FREE | 0x800, 4096)
    }),
    (breach::PROCESSOR_RUNS.name, start_itself),
    (breach::FOREIGN_INSTRUCTION.name, |guest| {
        let page = guest.private(FREE);
        // SAFETY: PVALIDATE is undefined here.
        unsafe { isolation::pvalidate(page, false, true) };
    }),
    (breach::UNHANDLED_EXCEPTION.name, |_| crate::window::die()),
    (breach::OUT_OF_RANGE.name, |guest| {
        touch(guest.private(BEYOND));
    }),
];

/// Hyper-V's start call for the processor that asks.
fn start_itself(guest: &mut Guest) {
    vmcall([
        vmcall::WRMSR,
        hv::MSR_GUEST_OS_ID.into(),
        hv::GUEST_OS_ID,
        0,
        0,
    ]);
    share(guest, FREE, 4096);
    put(guest.shared(FREE), hv::PARTITION_SELF);
    let mut regs = TdcallRegs {
        rax: tdcall::VP_VMCALL,
        rcx: vmcall::HYPERCALL_MASK,
        rdx: FREE | guest.shared_bits(),
        r10: hv::HVCALL_START_VP.into(),
        ..TdcallRegs::default()
    };
    // SAFETY: as in `leaf`.
    unsafe { isolation::tdcall(&mut regs) };
}

/// One leaf with one operand; the status is ignored.
fn leaf(rax: u64, rcx: u64) {
    let mut regs = TdcallRegs {
        rax,
        rcx,
        ..TdcallRegs::default()
    };
    // SAFETY: no operand here names memory that Rust owns.
    unsafe { isolation::tdcall(&mut regs) };
}

/// A TDVMCALL that exposes `mask`, with R11 to R13; the answer is ignored.
fn call(mask: u64, [r11, r12, r13]: [u64; 3]) {
    let mut regs = TdcallRegs {
        rax: tdcall::VP_VMCALL,
        rcx: mask,
        r11,
        r12,
        r13,
        ..TdcallRegs::default()
    };
    // SAFETY: as in `leaf`.
    unsafe { isolation::tdcall(&mut regs) };
}

/// Soft off, or a fatal error with the number of the probe that failed.
pub fn end(failed: Option<usize>) -> ! {
    match failed {
        None => call_with([vmcall::IO, 2, 1, PM1A_CNT.into(), PM1A_SOFT_OFF.into()]),
        Some(number) => call_with([vmcall::REPORT_FATAL_ERROR, number as u64 + 1, 0, 0, 0]),
    }
    crate::window::die()
}

fn call_with(registers: [u64; 5]) {
    vmcall(registers);
}

/// A good TDVMCALL with R11 to R15, and what came back.
pub fn vmcall([r11, r12, r13, r14, r15]: [u64; 5]) -> TdcallRegs {
    let mut regs = TdcallRegs {
        rax: tdcall::VP_VMCALL,
        rcx: vmcall::STANDARD_MASK,
        r11,
        r12,
        r13,
        r14,
        r15,
        ..TdcallRegs::default()
    };
    // SAFETY: as in `leaf`.
    unsafe { isolation::tdcall(&mut regs) };
    regs
}

/// Makes memory shared, without a look at the answer.
pub fn share(guest: &Guest, gpa: u64, len: u64) {
    let operands = [vmcall::MAP_GPA, gpa | guest.shared_bits(), len];
    call(vmcall::STANDARD_MASK, operands);
}
