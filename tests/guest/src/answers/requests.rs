//! Requests by the GHCB page and its MSR that the host serves (56421 rev. 2.04, chapters 2 and 4).
#![allow(unsafe_code)] // reason: PVALIDATE

use super::events::{BUFFER, RAX, RCX, RDX, SCRATCH, asked, event, got, sent, write};
use crate::conformance::Probe;
use crate::processors::{
    Machine,
    snp::{clear, ghcb},
};
use crate::window::touch;
use core::mem::offset_of;
use tessera_defs::port::COM1;
use tessera_defs::snp::ghcb::{GhcbPage, exit, psc};
use tessera_defs::snp::ghcb_msr as msr;
use tessera_defs::snp::vc::{self, io};
use tessera_defs::snp::{rmp, status};
use tessera_handoff::layout::PARAVISOR_ROOMS;
use tessera_hw::isolation;

const RBX: usize = offset_of!(GhcbPage, rbx);
const INFO2: usize = offset_of!(GhcbPage, sw_exit_info2);
/// Pages that nothing else uses.
const PAGE: u64 = PARAVISOR_ROOMS;
/// No device is here.
const NOTHING: u64 = 0xFEB0_0000;
const DONE: (u64, u64) = (0, 0);

pub const ALL: &[(&str, Probe)] = &[
    ("msr-sev-info", |_| {
        let told = asked(msr::SEV_INFO_REQUEST);
        told & msr::INFO_MASK == msr::SEV_INFO_RESPONSE
            && told >> 48 >= 2
            && told >> 32 & 0xFFFF == 1
            && told >> 24 & 0xFF == u64::from(status::C_BIT)
    }),
    ("msr-cpuid", |_| {
        // Leaf 0: the vendor's name by register.
        let told = |register: u64| asked(register << 30 | msr::CPUID_REQUEST);
        (0..4).all(|register| told(register) & 0xFFFF_FFFF == register << 30 | msr::CPUID_RESPONSE)
            && told(1) >> 32 == u64::from(u32::from_le_bytes(*b"Auth"))
    }),
    ("msr-page-state", |machine| {
        let change = |operation: u64| asked(PAGE | operation << 52 | msr::PSC_REQUEST);
        let shared = change(msr::PSC_SHARED);
        let private = change(msr::PSC_PRIVATE);
        (shared, private) == (msr::PSC_RESPONSE, msr::PSC_RESPONSE) && validates(machine, PAGE)
    }),
    ("request-cpuid", |_| {
        event([vc::CPUID, 0, 0], &[(RAX, 0), (RCX, 0)]) == DONE
            && got(RBX) == u64::from(u32::from_le_bytes(*b"Auth"))
            && got(RCX) == u64::from(u32::from_le_bytes(*b"cAMD"))
    }),
    ("request-msr", |_| {
        event([vc::MSR, 0, 0], &[(RCX, 0x1B)]) == DONE
            && got(RAX) & 0xFFFF_F000 == 0xFEE0_0000
            && got(RDX) == 0
    }),
    ("request-port", |_| {
        let port = u64::from(COM1 + 7) << io::PORT_SHIFT | io::SZ8;
        event([vc::IOIO, port, 0], &[(RAX, 0x5A)]) == DONE
            && event([vc::IOIO, port | io::IN, 0], &[(RAX, 0)]) == DONE
            && got(RAX) == 0x5A
    }),
    ("request-memory", |_| {
        let at = [(SCRATCH, ghcb(0) + BUFFER)];
        event([exit::MMIO_READ, NOTHING, 4], &at) == DONE && got(BUFFER as usize) as u32 == u32::MAX
    }),
    ("request-nmi-complete", |_| {
        event([exit::NMI_COMPLETE, 0, 0], &[]) == DONE
    }),
    ("request-features", |_| {
        let (info1, features) = event([exit::HV_FEATURES, 0, 0], &[]);
        (info1, features) == (0, asked(msr::HV_FEATURES_REQUEST) >> 12)
    }),
    ("request-page-states", batch),
    ("request-report-short", |_| {
        // Too few pages: the number that is needed, and no message is read.
        let pages = [
            exit::EXTENDED_GUEST_REQUEST,
            PAGE + 8 * 4096,
            PAGE + 9 * 4096,
        ];
        event(pages, &[(RAX, 0), (RBX, 0)]);
        got(INFO2) == 1 << 32 && got(RBX) >= 1
    }),
];

/// PVALIDATE changes a page that is private again, and it is readable.
fn validates(machine: &mut Machine, gpa: u64) -> bool {
    let page = machine.guest.private(gpa);
    // SAFETY: nothing of Rust's stands there.
    let validated = unsafe { isolation::pvalidate(page, false, true) };
    validated == (rmp::SUCCESS, false) && touch(page) == 0
}

/// Two pages in one request become shared, and private again.
fn batch(machine: &mut Machine) -> bool {
    let first = PAGE + 4 * 4096;
    let changed = [msr::PSC_SHARED, msr::PSC_PRIVATE].iter().all(|operation| {
        clear();
        // Header: current entry 0, last entry 1.
        write(0, &(1u64 << 16).to_le_bytes());
        for n in 0..2 {
            let entry = (first + n * 4096) | operation << psc::OP_SHIFT;
            write(8 + n * 8, &entry.to_le_bytes());
        }
        let done = sent([exit::PSC, 0, 0], &[(SCRATCH, ghcb(0) + BUFFER)]);
        done == DONE && got(BUFFER as usize) & 0xFFFF == 2
    });
    changed && validates(machine, first) && validates(machine, first + 4096)
}
