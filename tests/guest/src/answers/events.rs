//! The GHCB page and its MSR (56421 rev. 2.04, chapters 2 and 4), right requests and wrong ones.
#![allow(unsafe_code)] // reason: reads the GHCB MSR

use super::instructions::pvalidate;
use crate::conformance::Probe;
use crate::processors::snp::{clear, ghcb, send};
use crate::snp::{ask, share};
use crate::window::{self, FREE, RAM, put, touch};
use core::mem::offset_of;
use tessera_defs::snp::doorbell::{NONE, request as bell};
use tessera_defs::snp::ghcb::{
    GhcbPage, SHARED_BUFFER, SHARED_BUFFER_OFFSET, answer, exit, malformed, psc,
};
use tessera_defs::snp::rmp::{FAIL_SIZEMISMATCH, SUCCESS};
use tessera_defs::snp::{ghcb_msr as msr, vc};
use tessera_hw::instr;

pub(super) const RAX: usize = offset_of!(GhcbPage, rax);
pub(super) const RCX: usize = offset_of!(GhcbPage, rcx);
pub(super) const RDX: usize = offset_of!(GhcbPage, rdx);
const INFO1: usize = offset_of!(GhcbPage, sw_exit_info1);
const INFO2: usize = offset_of!(GhcbPage, sw_exit_info2);
pub(super) const SCRATCH: usize = offset_of!(GhcbPage, sw_scratch);
pub(super) const BUFFER: u64 = SHARED_BUFFER_OFFSET as u64;
const PAGE: u64 = FREE + 26 * 4096;
/// Index and data of the clock's memory; its byte 0x32 is the century.
const CMOS: u64 = 0x70;
const CENTURY: u8 = 0x32;
/// The answer that asks for #GP(0).
const FAULT: (u64, u64) = (answer::INJECT, 0x8000_0B0D);

pub const ALL: &[(&str, Probe)] = &[
    ("event-unknown", |_| {
        event([0x8000_1234, 0, 0], &[]) == wrong(malformed::EVENT)
            && event([vc::HLT, 0, 0], &[]) == wrong(malformed::EVENT)
    }),
    ("event-incomplete", |_| {
        let missing = wrong(malformed::MISSING_INPUT);
        event([vc::CPUID, 0, 0], &[(RAX, 1)]) == missing
            && event([vc::CPUID, 0, 0], &[(RAX, 0xD), (RCX, 0)]) == missing
            && event([vc::VMMCALL, 0, 0], &[(RAX, 1)]) == missing
            && event([vc::MSR, 1, 0], &[(RCX, 0x10)]) == missing
            && event([vc::IOIO, CMOS << 16 | vc::io::SZ8, 0], &[]) == missing
            && event([exit::MMIO_READ, 0xFEC0_0000, 4], &[]) == missing
    }),
    ("event-usage", |_| usage(7) == wrong(malformed::USAGE)),
    ("event-msr", |_| {
        event([vc::MSR, 0, 0], &[(RCX, 0x1234)]) == FAULT
            && event([vc::MSR, 2, 0], &[(RCX, 0x10)]) == wrong(malformed::INPUT)
    }),
    ("event-time-stamp", |_| {
        let read = |code| {
            let done = event([code, 0, 0], &[]) == (0, 0);
            (done, got(RDX) << 32 | got(RAX))
        };
        let (first, second) = (read(vc::RDTSC), read(vc::RDTSCP));
        first.0 && second.0 && second.1 > first.1
    }),
    ("event-counter", |_| {
        event([vc::RDPMC, 0, 0], &[(RCX, 0)]) == FAULT
    }),
    ("event-debug-control", |_| {
        event([vc::DR7_WRITE, 0, 0], &[(RAX, 0x455)]) == (0, 0)
            && event([vc::DR7_READ, 0, 0], &[]) == (0, 0)
            && got(RAX) == 0x455
            && event([vc::DR7_WRITE, 0, 0], &[(RAX, 0x400)]) == (0, 0)
    }),
    ("event-monitor", |_| {
        event([vc::MONITOR, 0, 0], &[(RAX, 0), (RCX, 0), (RDX, 0)]) == (0, 0)
            && event([vc::MWAIT, 0, 0], &[(RAX, 0), (RCX, 0)]) == (0, 0)
            && event([vc::WBINVD, 0, 0], &[]) == (0, 0)
            && event([vc::INVD, 0, 0], &[]) == (0, 0)
    }),
    ("event-string-port", string_port),
    ("event-scratch", |_| {
        let room = SHARED_BUFFER as u64;
        let read = |at, len| {
            event(
                [exit::MMIO_READ, 0xFEC0_0000, len],
                &[(SCRATCH, ghcb(0) + at)],
            )
        };
        let outside = wrong(malformed::SCRATCH);
        read(BUFFER + room - 4, 4) == (0, 0)
            && read(BUFFER + room - 4, 8) == outside
            && read(BUFFER - 8, 8) == outside
            && read(4096, 4) == outside
            && read(BUFFER, room + 1) == outside
    }),
    ("event-device-memory", |_| {
        let at = |offset| [(SCRATCH, ghcb(0) + BUFFER + offset)];
        // Register 1: version and pins.
        write(16, &1u32.to_le_bytes());
        let chosen = sent([exit::MMIO_WRITE, 0xFEC0_0000, 4], &at(16));
        let read = event([exit::MMIO_READ, 0xFEC0_0010, 4], &at(0));
        (chosen, read) == ((0, 0), (0, 0)) && got(BUFFER as usize) as u32 == 0x17_0011
    }),
    ("event-page-state", page_state),
    ("event-page-sizes", page_sizes),
    ("event-doorbell", |_| {
        let ring = |request, gpa| event([exit::HV_DOORBELL, request, gpa], &[]);
        share(PAGE);
        ring(bell::PREFERRED, 0) == (0, NONE)
            && ring(bell::SET, PAGE) == (0, PAGE)
            && ring(bell::QUERY, 0) == (0, PAGE)
            && ring(bell::SET, PAGE + 8) == wrong(malformed::INPUT)
            && ring(bell::QUERY, 0) == (0, NONE)
            && ring(bell::CLEAR, 0) == (0, NONE)
            && ring(9, 0) == wrong(malformed::INPUT)
    }),
    ("event-private-messages", |_| {
        let private = [exit::GUEST_REQUEST, PAGE + 0x4000, PAGE + 0x5000];
        event(private, &[]) == wrong(malformed::INPUT)
            && event([exit::RUN_VMPL, 1, 0], &[]) == wrong(malformed::INPUT)
    }),
    ("event-not-registered", |_| {
        share(PAGE + 4096);
        ask((PAGE + 4096) | msr::REGISTER_GHCB_REQUEST);
        let refused = event([vc::WBINVD, 0, 0], &[]) == wrong(malformed::NOT_REGISTERED);
        ask(ghcb(0) | msr::REGISTER_GHCB_REQUEST);
        refused && event([vc::WBINVD, 0, 0], &[]) == (0, 0)
    }),
    ("msr-errors", |_| {
        let failed = |response| 1 << 32 | response;
        let nowhere = !msr::INFO_MASK | msr::REGISTER_GHCB_RESPONSE;
        asked(9 << 52 | PAGE | msr::PSC_REQUEST) == failed(msr::PSC_RESPONSE)
            && asked(1 << 32 | msr::RUN_VMPL_REQUEST) == failed(msr::RUN_VMPL_RESPONSE)
            && asked(1 << 44 | msr::REGISTER_GHCB_REQUEST) == nowhere
            && asked(0x7_7EEE) == 0x7_7EEE
            && asked(ghcb(0) | msr::REGISTER_GHCB_REQUEST) == ghcb(0) | msr::REGISTER_GHCB_RESPONSE
            && asked(msr::PREFERRED_GHCB_REQUEST) == !msr::INFO_MASK | msr::PREFERRED_GHCB_RESPONSE
            && asked(msr::HV_FEATURES_REQUEST) == 0b111 << 12 | msr::HV_FEATURES_RESPONSE
    }),
];

pub(super) const fn wrong(reason: u64) -> (u64, u64) {
    (answer::MALFORMED, reason)
}

fn string_port(_: &mut crate::processors::Machine) -> bool {
    let string = vc::io::STRING | vc::io::SZ8;
    let at = [(SCRATCH, ghcb(0) + BUFFER)];
    write(0, &[CENTURY]);
    let written = sent([vc::IOIO, CMOS << 16 | string, 1], &at);
    write(0, &[0xEE; 8]);
    let input = (CMOS + 1) << 16 | string | vc::io::REP | vc::io::IN;
    let read = sent([vc::IOIO, input, 3], &at);
    let came = got(BUFFER as usize);
    let beyond = event([vc::IOIO, input, SHARED_BUFFER as u64 + 1], &at);
    (written, read) == ((0, 0), (0, 0))
        && came == 0xEEEE_EEEE_EE20_2020
        && beyond == wrong(malformed::SCRATCH)
}

fn page_state(_: &mut crate::processors::Machine) -> bool {
    let change = |end: u64, entry: u64| {
        write(0, &(end << 16).to_le_bytes());
        write(8, &entry.to_le_bytes());
        sent([exit::PSC, 0, 0], &[(SCRATCH, ghcb(0) + BUFFER)])
    };
    let entry = |operation: u64| (PAGE + 8192) | operation << psc::OP_SHIFT;
    let counted = || got(BUFFER as usize + 8) & psc::CURRENT_PAGE == 1;
    change(0, entry(msr::PSC_SHARED)) == (0, 0)
        && counted()
        && change(253, entry(msr::PSC_SHARED)) == (0, psc::INVALID_HEADER)
        && change(0, entry(9)) == (0, psc::INVALID_ENTRY)
        && change(0, entry(msr::PSC_SHARED) | psc::ENTRY_2M) == (0, psc::INVALID_ENTRY)
        && change(0, entry(msr::PSC_UNSMASH)) == (0, 0)
        && change(0, 1 << 44 | msr::PSC_SHARED << psc::OP_SHIFT) == (0, psc::FAILED)
}

/// 2 MiB that become 4 KiB pages, and the last two of them shared by an entry that says that the others are done.
fn page_sizes(machine: &mut crate::processors::Machine) -> bool {
    const AT: u64 = RAM + (4 << 20);
    let change = |operation: u64, done: u64| {
        write(0, &0u64.to_le_bytes());
        let entry = AT | operation << psc::OP_SHIFT | psc::ENTRY_2M | done;
        write(8, &entry.to_le_bytes());
        sent([exit::PSC, 0, 0], &[(SCRATCH, ghcb(0) + BUFFER)])
    };
    let counted = || got(BUFFER as usize + 8) & psc::CURRENT_PAGE;
    let whole = change(msr::PSC_PRIVATE, 0) == (0, 0) && counted() == 512;
    let large = machine.guest.private(AT);
    let validated = pvalidate(large, 1, 1) == (SUCCESS, false);
    let smashed = change(msr::PSC_PSMASH, 0) == (0, 0)
        && pvalidate(large, 1, 1).0 == FAIL_SIZEMISMATCH
        && pvalidate(large, 0, 1) == (SUCCESS, true);
    let merged = change(msr::PSC_UNSMASH, 0) == (0, 0);
    let last = AT + 511 * 4096;
    let given = pvalidate(machine.guest.private(last), 0, 0).0 == SUCCESS
        && pvalidate(machine.guest.private(last - 4096), 0, 0).0 == SUCCESS;
    let begun = change(msr::PSC_SHARED, 510) == (0, 0) && counted() == 512;
    let shared = touch(machine.guest.shared(last)) == 0;
    let kept = pvalidate(machine.guest.private(last - 8192), 0, 1) == (SUCCESS, true);
    let over = change(msr::PSC_SHARED, 513) == (0, psc::INVALID_ENTRY);
    whole && validated && smashed && merged && given && begun && shared && kept && over
}

/// SW_EXITINFO1 and 2 of an event on an empty page.
pub(super) fn event(request: [u64; 3], fields: &[(usize, u64)]) -> (u64, u64) {
    clear();
    sent(request, fields)
}

/// The same, on the page as it is.
pub(super) fn sent(request: [u64; 3], fields: &[(usize, u64)]) -> (u64, u64) {
    send(request, fields, 0);
    (got(INFO1), got(INFO2))
}

/// An event with another GHCB_USAGE.
fn usage(usage: u32) -> (u64, u64) {
    clear();
    send([vc::WBINVD, 0, 0], &[], usage);
    (got(INFO1), got(INFO2))
}

/// A word of the answer.
pub(super) fn got(at: usize) -> u64 {
    touch(window::place(1) + at as u64)
}

/// Writes bytes into the shared buffer, in whole words.
pub(super) fn write(at: u64, bytes: &[u8]) {
    let mut word = [0; 8];
    word[..bytes.len()].copy_from_slice(bytes);
    put(window::place(1) + BUFFER + at, u64::from_le_bytes(word));
}

/// The answer of the MSR protocol.
pub(super) fn asked(request: u64) -> u64 {
    instr::without_interrupts(|| {
        ask(request);
        // SAFETY: the answer.
        unsafe { instr::rdmsr(msr::MSR_GHCB) }
    })
}
