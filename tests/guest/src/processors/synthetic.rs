//! Hyper-V's synthetic interrupt controller, timers and reference time stamp page, as the host has them (TLFS 6.0b,
//! chapters 10 to 12). The pages are shared with the host in SNP and in a TD. The host is probed, so that it
//! has connections that lead back to the caller (`tests/host/src/vmm/synic/ports.rs`).
#![allow(unsafe_code)] // reason: hypercalls

use super::machine::{COUNTS, SIGNAL, TIMER};
use super::probes::{Probe, soon};
use super::{Machine, calls, snp};
use crate::window::{self, RAM, put, touch};
use core::sync::atomic::Ordering::{Relaxed, SeqCst};
use tessera_defs::hyperv as hv;
use tessera_defs::hyperv::synic::*;
use tessera_defs::mode::Mode;
use tessera_defs::tdx::tdcall::{self, TdcallRegs};
use tessera_defs::tdx::vmcall;
use tessera_hw::isolation;

/// Pages of messages, event flags, reference time, and input of hypercalls.
const PAGES: u64 = RAM + 256 * 4096;
const PLACE: usize = 16;
const MESSAGES: usize = 0;
const EVENTS: usize = 1;
const REFERENCE: usize = 2;
const INPUT: usize = 3;
/// Leads back to SINT0, and so on.
const ECHO: u64 = 0x54_0000;
const SINT: usize = 2;
const TO_SINT: u64 = (SINT as u64) << TIMER_SINT_SHIFT;
const VECTOR: u64 = SIGNAL as u64;
/// 100 ns.
const SHORT: u64 = 5000;

/// In order: later ones need what earlier ones enabled.
pub static ALL: &[(&str, Probe)] = &[
    ("hv-reference-tsc", |machine| {
        share(machine);
        reference_page()
    }),
    ("hv-synic", |_| registers()),
    ("hv-no-connection", |_| no_connection()),
    ("hv-message", |_| message() && message_waits()),
    ("hv-masked", |_| silent(SINT_MASKED) && silent(SINT_POLLING)),
    ("hv-event", |_| event()),
    ("hv-timer-message", |_| timer_message()),
    ("hv-timer-stopped", |_| timer_stopped()),
    ("hv-timer-direct", |_| direct() == 3),
];

fn physical(page: usize) -> u64 {
    PAGES + page as u64 * 4096
}

/// Address of a byte of a page.
fn at(page: usize, offset: usize) -> u64 {
    window::place(PLACE + page) + offset as u64
}

fn signals() -> u64 {
    COUNTS[0].signals.load(SeqCst)
}

/// One more interrupt came of it.
fn signalled(before: u64) -> bool {
    soon(|| signals() == before + 1)
}

fn share(machine: &mut Machine) {
    (0..4).for_each(|page| {
        let gpa = physical(page);
        match machine.mode {
            Mode::Snp => crate::snp::share(gpa),
            Mode::Tdx => crate::tdx::share(&machine.guest, gpa, 4096),
            _ => {}
        }
        machine.guest.shared_at(PLACE + page, gpa);
        (0..512).for_each(|word| put(at(page, word * 8), 0));
    });
}

/// Time stamp times scale lies between two readings of the counter.
fn reference_page() -> bool {
    let register = physical(REFERENCE) | 1;
    calls::msr_write(MSR_REFERENCE_TSC, register);
    let [sequence, scale, offset] = [0, 8, 16].map(|place| touch(at(REFERENCE, place)));
    let counter = || calls::msr_read(hv::MSR_TIME_REF_COUNT);
    let before = counter();
    let tsc = tessera_hw::instr::rdtsc();
    let after = counter();
    let by_page = ((u128::from(tsc) * u128::from(scale)) >> 64) as u64;
    let now = by_page.wrapping_add(offset);
    calls::msr_read(MSR_REFERENCE_TSC) == register
        && sequence as u32 != 0
        && (before..=after).contains(&now)
}

fn registers() -> bool {
    let fresh = calls::msr_read(MSR_SVERSION) == VERSION
        && calls::msr_read(MSR_EOM) == 0
        && (0..SOURCES as u32).all(|n| calls::msr_read(MSR_SINT0 + n) == SINT_MASKED)
        && (0..2 * TIMERS as u32).all(|n| calls::msr_read(MSR_STIMER0_CONFIG + n) == 0);
    let enable = [
        (MSR_SCONTROL, 1),
        (MSR_SIMP, physical(MESSAGES) | 1),
        (MSR_SIEFP, physical(EVENTS) | 1),
        (MSR_SINT0 + SINT as u32, VECTOR),
    ];
    enable
        .iter()
        .for_each(|(msr, value)| calls::msr_write(*msr, *value));
    fresh
        && enable
            .iter()
            .all(|(msr, value)| calls::msr_read(*msr) == *value)
}

/// A fast hypercall.
pub fn fast(control: u64, input: [u64; 2]) -> u16 {
    let control = control | hv::HYPERCALL_FAST;
    let result = match calls::mode() {
        Mode::Snp => snp::hypercall(control, &input),
        Mode::Tdx => td_hypercall(control, input[0], input[1]),
        // SAFETY: no memory is named.
        _ => unsafe { isolation::vmmcall(control, input[0], input[1]) },
    };
    result as u16
}

/// A hypercall with its input.
pub fn hypercall(control: u64, input: &[u64]) -> u16 {
    let words = input.iter().enumerate();
    let result = match calls::mode() {
        Mode::Snp => snp::hypercall(control, input),
        mode => {
            words.for_each(|(n, word)| put(at(INPUT, n * 8), *word));
            match mode {
                Mode::Tdx => td_hypercall(control, physical(INPUT), 0),
                // SAFETY: the input is a page that Rust does not own.
                _ => unsafe { isolation::vmmcall(control, physical(INPUT), 0) },
            }
        }
    };
    result as u16
}

fn td_hypercall(control: u64, rdx: u64, r8: u64) -> u64 {
    let mut regs = TdcallRegs {
        rax: tdcall::VP_VMCALL,
        rcx: vmcall::HYPERCALL_MASK,
        rdx,
        r8,
        r10: control,
        ..TdcallRegs::default()
    };
    // SAFETY: no operand names memory that Rust owns.
    unsafe { isolation::tdcall(&mut regs) };
    regs.r11
}

fn post(connection: u64, kind: u64, len: u64) -> u16 {
    let mut input = [0; 32];
    (input[0], input[1]) = (connection, kind | len << 32);
    input[2..].fill(kind);
    hypercall(HVCALL_POST_MESSAGE.into(), &input)
}

fn signal(connection: u64, flag: u64) -> u16 {
    hypercall(HVCALL_SIGNAL_EVENT.into(), &[connection | flag << 32])
}

/// There is no VMBus: connections 1 and 4, which lead to it elsewhere, are unknown.
fn no_connection() -> bool {
    let unknown = HV_STATUS_INVALID_CONNECTION_ID;
    [1, 4, ECHO + 16]
        .iter()
        .all(|to| post(*to, 1, 16) == unknown)
        && signal(2, 0) == unknown
        && post(1, 1, PAYLOAD as u64 + 1) == hv::HV_STATUS_INVALID_PARAMETER
        && post(1, MESSAGE_OF_HYPERVISOR.into(), 16) == hv::HV_STATUS_INVALID_PARAMETER
        && signal(2, EVENT_FLAGS.into()) == hv::HV_STATUS_INVALID_PARAMETER
        && hypercall(u64::from(HVCALL_POST_MESSAGE) | hv::HYPERCALL_FAST, &[1, 1])
            == hv::HV_STATUS_INVALID_HYPERCALL_INPUT
}

/// Type and flags of what stands in a slot.
fn slot(sint: usize) -> (u32, u8) {
    let head = touch(at(MESSAGES, sint * SLOT));
    (head as u32, (head >> 40) as u8)
}

fn empty(sint: usize) {
    put(at(MESSAGES, sint * SLOT), 0);
}

fn message() -> bool {
    let before = signals();
    post(ECHO + SINT as u64, 7, 16) == 0
        && signalled(before)
        && slot(SINT) == (7, 0)
        && touch(at(MESSAGES, SINT * SLOT + 8)) == ECHO + SINT as u64
        && touch(at(MESSAGES, SINT * SLOT + MESSAGE_HEADER + 8)) == 7
        && touch(at(MESSAGES, SINT * SLOT + MESSAGE_HEADER + 16)) == 0
}

/// The slot is full still: the next one waits, and comes at the end of message.
fn message_waits() -> bool {
    let before = signals();
    let queued = post(ECHO + SINT as u64, 8, 0) == 0 && slot(SINT) == (7, MESSAGE_PENDING);
    empty(SINT);
    let waits = slot(SINT).0 == 0 && signals() == before;
    calls::msr_write(MSR_EOM, 0);
    let came = signalled(before) && slot(SINT) == (8, 0);
    empty(SINT);
    queued && waits && came
}

/// The message comes, the interrupt does not.
fn silent(how: u64) -> bool {
    let source = MSR_SINT0 + SINT as u32;
    let before = signals();
    calls::msr_write(source, how | VECTOR);
    let came = post(ECHO + SINT as u64, 9, 0) == 0 && slot(SINT) == (9, 0);
    let quiet = !soon(|| signals() != before);
    calls::msr_write(source, VECTOR);
    empty(SINT);
    came && quiet
}

/// Flag 65 of SINT2, once: it is set already the second time.
fn event() -> bool {
    let word = at(EVENTS, SINT * SLOT + 8);
    let before = signals();
    let first = signal(ECHO + SINT as u64, 65) == 0 && signalled(before) && touch(word) == 2;
    let second = signal(ECHO + SINT as u64, 65) == 0;
    let quiet = !soon(|| signals() != before + 1);
    put(word, 0);
    first && second && quiet
}

/// A one-shot timer, armed by its count, ends a halt by its message.
fn timer_message() -> bool {
    let before = signals();
    calls::msr_write(MSR_STIMER0_CONFIG, TIMER_AUTO_ENABLE | TO_SINT);
    let expires = calls::msr_read(hv::MSR_TIME_REF_COUNT) + SHORT;
    calls::msr_write(MSR_STIMER0_CONFIG + 1, expires);
    while signals() == before {
        calls::halt();
    }
    let word = |n: usize| touch(at(MESSAGES, SINT * SLOT + MESSAGE_HEADER + n * 8));
    let right = slot(SINT) == (MESSAGE_TIMER_EXPIRED, 0)
        && (word(0), word(1)) == (0, expires)
        && word(2) >= expires
        && calls::msr_read(MSR_STIMER0_CONFIG) == TIMER_AUTO_ENABLE | TO_SINT;
    empty(SINT);
    right
}

/// No source, no timer; and a count of zero stops one.
fn timer_stopped() -> bool {
    let config = MSR_STIMER0_CONFIG + 2;
    calls::msr_write(config + 1, u64::MAX);
    calls::msr_write(config, TIMER_ENABLE);
    let nowhere = calls::msr_read(config) == 0;
    calls::msr_write(config, TIMER_ENABLE | TO_SINT);
    let enabled = calls::msr_read(config) == TIMER_ENABLE | TO_SINT;
    calls::msr_write(config + 1, 0);
    nowhere && enabled && calls::msr_read(config) == TO_SINT
}

/// A period of direct mode, three times: ticks of the processor that asks.
pub fn direct() -> u64 {
    let ticks = &COUNTS[calls::me()].ticks;
    let before = ticks.load(Relaxed);
    let config = TIMER_ENABLE | TIMER_PERIODIC | TIMER_DIRECT;
    let vector = u64::from(TIMER) << TIMER_VECTOR_SHIFT;
    calls::msr_write(MSR_STIMER0_CONFIG + 1, SHORT);
    calls::msr_write(MSR_STIMER0_CONFIG, config | vector);
    while ticks.load(Relaxed) < before + 3 {
        calls::halt();
    }
    calls::msr_write(MSR_STIMER0_CONFIG + 1, 0);
    3.min(ticks.load(Relaxed) - before)
}

/// Another processor: everything is at its start, and its timer is its own.
pub fn own() -> u64 {
    let fresh = calls::msr_read(MSR_SINT0 + SINT as u32) == SINT_MASKED
        && calls::msr_read(MSR_SCONTROL) == 0
        && calls::msr_read(MSR_STIMER0_CONFIG) == 0;
    if fresh { direct() } else { 0 }
}
