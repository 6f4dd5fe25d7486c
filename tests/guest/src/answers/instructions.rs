//! PVALIDATE, RMPADJUST and RMPQUERY, result by result (APM vol. 3, the instructions' pages).
#![allow(unsafe_code)] // reason: the instructions, on pages that nothing uses

use super::ring3;
use super::trap::caught;
use crate::conformance::Probe;
use crate::processors::Machine;
use crate::window::{FREE, RAM};
use core::arch::asm;
use tessera_defs::snp::rmp::{ATTR_VMSA, FAIL_INPUT, FAIL_PERMISSION, FAIL_SIZEMISMATCH, SUCCESS};
use tessera_defs::snp::{ghcb_msr, status, vc};
use tessera_defs::x86::vector;
use tessera_handoff::layout::{DIRECT_MAP, KERNEL_BASE};
use tessera_hw::{instr, isolation};

const PAGE: u64 = FREE + 24 * 4096;
/// Bytes of each of the three.
const LENGTH: u64 = 4;
const NOT_VALIDATED: Option<(u64, u64)> = Some((vector::VC as u64, vc::PAGE_NOT_VALIDATED));

pub const ALL: &[(&str, Probe)] = &[
    ("pvalidate", |machine| {
        let page = machine.guest.private(PAGE);
        let validate = |wanted| pvalidate(page, 0, wanted);
        validate(1) == (SUCCESS, true)
            && validate(0) == (SUCCESS, false)
            && validate(0) == (SUCCESS, true)
            && validate(1) == (SUCCESS, false)
    }),
    ("pvalidate-input", |machine| {
        let page = machine.guest.private(PAGE);
        pvalidate(page, 1, 1).0 == FAIL_INPUT && pvalidate(page, 2, 1).0 == FAIL_INPUT
    }),
    // The loader's pages are small.
    ("pvalidate-size", |_| {
        let (status, _) = pvalidate(DIRECT_MAP + KERNEL_BASE, 1, 1);
        status == FAIL_SIZEMISMATCH
    }),
    ("rmpadjust", |machine| {
        let page = machine.guest.private(PAGE);
        let adjust = |attributes| rmpadjust(page, attributes);
        adjust(0x301) == SUCCESS
            && adjust(0xF02) == SUCCESS
            && adjust(0xF00) == FAIL_PERMISSION
            && adjust(0x104) == FAIL_INPUT
            && adjust(0x1001) == FAIL_INPUT
            && adjust(1 << 17 | 0x101) == FAIL_INPUT
    }),
    // As above.
    ("rmpadjust-size", |_| {
        // SAFETY: it fails, whatever stands there.
        let adjusted = unsafe { isolation::rmpadjust(DIRECT_MAP + KERNEL_BASE, true, 0x301) };
        adjusted == FAIL_SIZEMISMATCH
    }),
    ("rmpquery-offered", |_| {
        crate::snp::ask(u64::from(status::CPUID_ENCRYPTION) << 32 | ghcb_msr::CPUID_REQUEST);
        // SAFETY: the answer to the request.
        let answer = unsafe { instr::rdmsr(ghcb_msr::MSR_GHCB) };
        answer >> 32 & u64::from(status::RMPQUERY) != 0
    }),
    ("rmpquery", |machine| {
        let page = machine.guest.private(PAGE);
        rmpquery(page, 0) == (SUCCESS, 0, 0xF00)
            && rmpquery(page, 1) == (SUCCESS, 0, 0x301)
            && rmpquery(page, 2) == (SUCCESS, 0, 0xF02)
            && rmpquery(page, 3) == (SUCCESS, 0, 3)
            && rmpquery(page, 4).0 == FAIL_INPUT
    }),
    ("rmpquery-vmsa", |machine| {
        let page = machine.guest.private(PAGE + 4096);
        rmpadjust(page, ATTR_VMSA | 1) == SUCCESS
            && rmpquery(page, 1) == (SUCCESS, 0, ATTR_VMSA | 1)
            && rmpadjust(page, 1) == SUCCESS
            && rmpquery(page, 1) == (SUCCESS, 0, 1)
    }),
    // Validation takes the permissions away that were given.
    ("validation-resets", |machine| {
        let page = machine.guest.private(PAGE);
        pvalidate(page, 0, 0) == (SUCCESS, false)
            && pvalidate(page, 0, 1) == (SUCCESS, false)
            && rmpquery(page, 2) == (SUCCESS, 0, 2)
    }),
    ("rmp-not-validated", not_validated),
    ("rmp-ring-3", |machine| {
        const PREFIXES: [u8; 3] = [0xF2, 0xF3, 0xF3];
        const LAST: [u8; 3] = [0xFF, 0xFE, 0xFD];
        PREFIXES.into_iter().zip(LAST).all(|(prefix, last)| {
            let code = [prefix, 0x0F, 0x01, last];
            ring3::run(machine, PAGE + 4096, &code) == (vector::GP.into(), 0)
        })
    }),
];

/// The host assigns the page, which some do only when asked; `exceptions` needs it, too.
fn not_validated(machine: &mut Machine) -> bool {
    crate::snp::ask(RAM | ghcb_msr::PSC_PRIVATE << 52 | ghcb_msr::PSC_REQUEST);
    let page = machine.guest.private(RAM);
    let adjusts = caught(LENGTH, || {
        rmpadjust(page, 0x301);
    });
    let queries = caught(LENGTH, || {
        rmpquery(page, 0);
    });
    (adjusts, queries) == (NOT_VALIDATED, NOT_VALIDATED)
}

/// EAX and CF.
pub(super) fn pvalidate(virt: u64, size: u32, validate: u32) -> (u32, bool) {
    let (status, carry): (u64, u8);
    // SAFETY: nothing of Rust's stands in the page, or its state does not change.
    unsafe {
        asm!(".byte 0xf2, 0x0f, 0x01, 0xff", "setc {c}", c = out(reg_byte) carry,
            inout("rax") virt => status, in("ecx") size, in("edx") validate,
            options(nostack));
    }
    (status as u32, carry != 0)
}

fn rmpadjust(virt: u64, attributes: u64) -> u32 {
    // SAFETY: nothing of Rust's stands in the page.
    unsafe { isolation::rmpadjust(virt, false, attributes) }
}

/// EAX, RCX and RDX.
fn rmpquery(virt: u64, target: u64) -> (u32, u64, u64) {
    let (status, size, attributes): (u64, u64, u64);
    // SAFETY: changes registers and flags only.
    unsafe {
        asm!(".byte 0xf3, 0x0f, 0x01, 0xfd", inout("rax") virt => status,
            inout("rcx") 0xDEADu64 => size, inout("rdx") target => attributes,
            options(nostack));
    }
    (status as u32, size, attributes)
}
