//! Hyper-V's synthetic interrupt controller, timers and reference time stamp page, as the host has them (TLFS 6.0b,
//! chapters 10 to 12). The pages are shared with the host in SNP and in a TD. The host is probed, so that it
//! has connections that lead back to the caller (`tests/host/src/vmm/synic/ports.rs`). Below a paravisor the guest calls
//! the same host by itself: pages are what the paravisor gave it, and a source asks the paravisor for its interrupts, too.
#![allow(unsafe_code)] // reason: hypercalls

use super::machine::{COUNTS, SIGNAL, TIMER};
use super::probes::{Probe, soon};
use super::{Machine, below, calls, snp};
use crate::answers::trap;
use crate::conformance::hyperv::refused;
use crate::window::{self, RAM, put, touch};
use core::sync::atomic::AtomicU64;
use core::sync::atomic::Ordering::{Relaxed, SeqCst};
use tessera_defs::hyperv as hv;
use tessera_defs::hyperv::synic::*;
use tessera_defs::mode::Mode;
use tessera_defs::tdx::tdcall::{self, TdcallRegs};
use tessera_defs::tdx::vmcall;
use tessera_hw::{instr, isolation, probe};

/// Pages of messages, event flags, reference time, and input of hypercalls.
const PAGES: u64 = RAM + 256 * 4096;
const PLACE: usize = 16;
const MESSAGES: usize = 0;
const EVENTS: usize = 1;
const REFERENCE: usize = 2;
const INPUT: usize = 3;
/// Where the output begins in the page of the input.
const OUTPUT: usize = 2048;
/// Leads back to SINT0, and so on.
const ECHO: u64 = 0x54_0000;
const SINT: usize = 2;
const TO_SINT: u64 = (SINT as u64) << TIMER_SINT_SHIFT;
const VECTOR: u64 = SIGNAL as u64;
/// 100 ns.
const SHORT: u64 = 5000;

/// Where the pages of messages and event flags are: here, or where the paravisor says.
static GIVEN: [AtomicU64; 2] = [const { AtomicU64::new(0) }; 2];

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
    ("hv-source-refused", |_| {
        let source = MSR_SINT0 + SINT as u32;
        (0..16).all(|vector| refused(source, vector)) && calls::host_read(source) == VECTOR
    }),
    ("hv-auto-eoi", |_| auto_eoi()),
    ("hv-event", |_| event()),
    ("hv-timer-message", |_| timer_message()),
    ("hv-timer-stopped", |_| timer_stopped()),
    ("hv-timer-direct", |_| direct() == 3),
    ("hv-timer-refused", |_| {
        let config = MSR_STIMER0_CONFIG + 4;
        refused(config, 1 << 13) && calls::host_read(config) == 0
    }),
    ("hv-timer-lazy", |_| lazy()),
    ("hv-source-of-the-paravisor", |_| source_of_the_paravisor()),
    ("hv-proxied-only", |_| proxied_only()),
];

fn physical(page: usize) -> u64 {
    match GIVEN.get(page).map_or(0, |given| given.load(Relaxed)) {
        0 => PAGES + page as u64 * 4096,
        given => given,
    }
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

/// No further one comes, in a time in which a paravisor would have had its turn.
fn stays(count: u64) -> bool {
    (0..10_000).all(|_| {
        core::hint::spin_loop();
        signals() == count
    })
}

fn share(machine: &mut Machine) {
    for page in 0..4 {
        let gpa = PAGES + page as u64 * 4096;
        match machine.mode {
            Mode::Snp => crate::snp::share(gpa),
            Mode::Tdx => crate::tdx::share(&machine.guest, gpa, 4096),
            Mode::None => {}
            _ if page < GIVEN.len() => find(machine, page),
            _ => below::share_page(gpa),
        }
        machine.guest.shared_at(PLACE + page, physical(page));
        (0..512).for_each(|word| put(at(page, word * 8), 0));
    }
}

/// The page that the paravisor gave: its address stands in the register, in the shared half.
fn find(machine: &Machine, page: usize) {
    let register = calls::host_read([MSR_SIMP, MSR_SIEFP][page]);
    let gpa = register & !0xFFF & !machine.guest.shared_bits();
    GIVEN[page].store(gpa, Relaxed);
}

/// Time stamp times scale lies between two readings of the counter.
fn reference_page() -> bool {
    let register = physical(REFERENCE) | 1;
    calls::host_write(MSR_REFERENCE_TSC, register);
    let [sequence, scale, offset] = [0, 8, 16].map(|place| touch(at(REFERENCE, place)));
    let counter = || calls::host_read(hv::MSR_TIME_REF_COUNT);
    let before = counter();
    let tsc = tessera_hw::instr::rdtsc();
    let after = counter();
    let by_page = ((u128::from(tsc) * u128::from(scale)) >> 64) as u64;
    let now = by_page.wrapping_add(offset);
    calls::host_read(MSR_REFERENCE_TSC) == register
        && sequence as u32 != 0
        && (before..=after).contains(&now)
}

fn registers() -> bool {
    let fresh = calls::host_read(MSR_SVERSION) == VERSION
        && calls::host_read(MSR_SCONTROL) == 0
        && calls::host_read(MSR_EOM) == 0
        && (0..SOURCES as u32).all(|n| calls::host_read(MSR_SINT0 + n) == SINT_MASKED)
        && (0..2 * TIMERS as u32).all(|n| calls::host_read(MSR_STIMER0_CONFIG + n) == 0);
    let pages = match calls::is_below() {
        true => [MSR_SIMP, MSR_SIEFP].map(calls::host_read),
        false => [MESSAGES, EVENTS].map(|page| physical(page) | 1),
    };
    let enable = [
        (MSR_SCONTROL, 1),
        (MSR_SIMP, pages[0]),
        (MSR_SIEFP, pages[1]),
    ];
    enable
        .iter()
        .for_each(|(msr, value)| calls::host_write(*msr, *value));
    set_source(VECTOR);
    fresh
        && pages.iter().all(|page| page & 1 == 1)
        && calls::host_read(MSR_SINT0 + SINT as u32) == VECTOR
        && enable
            .iter()
            .all(|(msr, value)| calls::host_read(*msr) == *value)
}

/// Sets the source; a paravisor is asked for its interrupts, too (Linux `hv_set_non_nested_msr`).
fn set_source(value: u64) {
    let source = MSR_SINT0 + SINT as u32;
    calls::host_write(source, value);
    if calls::is_below() {
        calls::msr_write(source, value | SINT_PROXY);
    }
}

/// A fast hypercall.
pub fn fast(control: u64, input: [u64; 2]) -> u16 {
    let control = control | hv::HYPERCALL_FAST;
    let result = match calls::way() {
        Mode::Snp => snp::hypercall(control, &input),
        Mode::Tdx => td_hypercall(control, input[0], input[1]),
        // SAFETY: no memory is named.
        _ => unsafe { isolation::vmmcall(control, input[0], input[1]) },
    };
    result as u16
}

/// A hypercall with its input and 8 bytes of output: the whole result, and the output.
pub fn answered(control: u64, input: &[u64]) -> (u64, u64) {
    let place = at(INPUT, OUTPUT);
    put(place, u64::MAX);
    let output = physical(INPUT) + OUTPUT as u64;
    let words = input.iter().enumerate();
    let result = match calls::way() {
        Mode::Snp => snp::hypercall_to(control, input, output),
        mode => {
            words.for_each(|(n, word)| put(at(INPUT, n * 8), *word));
            match mode {
                Mode::Tdx => td_hypercall(control, physical(INPUT), output),
                // SAFETY: input and output are in a page that Rust does not own.
                _ => unsafe { isolation::vmmcall(control, physical(INPUT), output) },
            }
        }
    };
    (result, touch(place))
}

/// A hypercall with its input.
pub fn hypercall(control: u64, input: &[u64]) -> u16 {
    let words = input.iter().enumerate();
    let result = match calls::way() {
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
    calls::host_write(MSR_EOM, 0);
    let came = signalled(before) && slot(SINT) == (8, 0);
    empty(SINT);
    queued && waits && came
}

/// The message comes, the interrupt does not.
fn silent(how: u64) -> bool {
    let before = signals();
    set_source(how | VECTOR);
    let came = post(ECHO + SINT as u64, 9, 0) == 0 && slot(SINT) == (9, 0);
    let quiet = stays(before);
    set_source(VECTOR);
    empty(SINT);
    came && quiet
}

/// Without the end of an interrupt a second one comes only by a source that ends them itself.
fn auto_eoi() -> bool {
    let sent = |kind| {
        let came = post(ECHO + SINT as u64, kind, 0) == 0 && slot(SINT) == (kind as u32, 0);
        empty(SINT);
        came
    };
    let before = signals();
    trap::KEPT.store(true, SeqCst);
    set_source(SINT_AUTO_EOI | VECTOR);
    let twice = sent(13) && signalled(before) && sent(14) && signalled(before + 1);
    set_source(VECTOR);
    let once = sent(15) && signalled(before + 2) && sent(16) && stays(before + 3);
    calls::end_of_interrupt();
    let then = signalled(before + 3);
    trap::KEPT.store(false, SeqCst);
    calls::end_of_interrupt();
    twice && once && then
}

/// A lazy timer interrupts who comes to the host anyway.
fn lazy() -> bool {
    let ticks = || COUNTS[0].ticks.load(Relaxed);
    let before = ticks();
    let vector = u64::from(TIMER) << TIMER_VECTOR_SHIFT;
    let config = TIMER_ENABLE | TIMER_LAZY | TIMER_DIRECT | vector;
    let expires = calls::host_read(hv::MSR_TIME_REF_COUNT) + SHORT;
    calls::host_write(MSR_STIMER0_CONFIG + 1, expires);
    calls::host_write(MSR_STIMER0_CONFIG, config);
    let kept = calls::host_read(MSR_STIMER0_CONFIG) == config;
    let came =
        soon(|| calls::host_read(hv::MSR_TIME_REF_COUNT) >= expires && ticks() == before + 1);
    kept && came
}

/// The paravisor's controller: its registers, which are not the host's, and a call that finds no port.
fn source_of_the_paravisor() -> bool {
    let source = MSR_SINT0 + 15;
    let fresh = calls::msr_read(source) == SINT_MASKED
        && calls::msr_read(MSR_SVERSION) == VERSION
        && [MSR_SCONTROL, MSR_SIMP, MSR_SIEFP, MSR_EOM].map(calls::msr_read) == [0; 4];
    calls::msr_write(source, SINT_PROXY | 0x70);
    let kept =
        calls::msr_read(source) == SINT_PROXY | 0x70 && calls::host_read(source) == SINT_MASKED;
    calls::msr_write(source, SINT_MASKED);
    // SAFETY: values that the registers do not take, and pages that are not this guest's.
    let refused = unsafe {
        [
            (source, 15),
            (source + 1, 0x70),
            (MSR_SVERSION, 1),
            (MSR_EOM, 1),
            (MSR_SIMP, physical(MESSAGES) | 1),
            (MSR_STIMER0_CONFIG, 0),
        ]
        .map(|(msr, value)| probe::wrmsr(msr, value))
    };
    // A page of its own begins with zeros.
    let own = RAM + 260 * 4096;
    calls::msr_write(MSR_SIEFP, own | 1);
    let named = calls::msr_read(MSR_SIEFP) == own | 1 && calls::msr_read(MSR_SIMP) == 0;
    calls::msr_write(MSR_SIEFP, 0);
    let features = instr::cpuid(hv::CPUID_FEATURES, 0);
    let announced = features.eax & FEATURE_EAX_SYNIC != 0
        && features.eax & FEATURE_EAX_TIMERS == 0
        && instr::cpuid(hv::CPUID_RECOMMENDATIONS, 0).eax & hv::HINT_EAX_NO_AUTO_EOI != 0;
    let unknown =
        [HVCALL_POST_MESSAGE, HVCALL_SIGNAL_EVENT].map(|code| below::ask(code.into()) as u16);
    fresh
        && kept
        && refused == [false; 6]
        && named
        && announced
        && unknown == [HV_STATUS_INVALID_CONNECTION_ID; 2]
}

/// Only what the paravisor was asked for comes through it: not a source that is only the host's, masked or polled
/// there, or with another vector.
fn proxied_only() -> bool {
    let source = MSR_SINT0 + SINT as u32;
    let held = [
        VECTOR,
        SINT_PROXY | SINT_MASKED | VECTOR,
        SINT_PROXY | SINT_POLLING | VECTOR,
        SINT_PROXY | 0x71,
    ];
    let quiet = held.iter().all(|value| {
        calls::msr_write(source, *value);
        let before = signals();
        let came = post(ECHO + SINT as u64, 11, 0) == 0 && slot(SINT) == (11, 0);
        empty(SINT);
        came && stays(before)
    });
    set_source(VECTOR);
    let before = signals();
    let comes = post(ECHO + SINT as u64, 12, 0) == 0 && signalled(before) && slot(SINT).0 == 12;
    empty(SINT);
    quiet && comes
}

/// Flag 65 of SINT2, once: it is set already the second time.
fn event() -> bool {
    let word = at(EVENTS, SINT * SLOT + 8);
    let before = signals();
    let first = signal(ECHO + SINT as u64, 65) == 0 && signalled(before) && touch(word) == 2;
    let second = signal(ECHO + SINT as u64, 65) == 0;
    let quiet = stays(before + 1);
    put(word, 0);
    first && second && quiet
}

/// A one-shot timer, armed by its count, ends a halt by its message.
fn timer_message() -> bool {
    let before = signals();
    calls::host_write(MSR_STIMER0_CONFIG, TIMER_AUTO_ENABLE | TO_SINT);
    let expires = calls::host_read(hv::MSR_TIME_REF_COUNT) + SHORT;
    calls::host_write(MSR_STIMER0_CONFIG + 1, expires);
    while signals() == before {
        calls::halt();
    }
    let word = |n: usize| touch(at(MESSAGES, SINT * SLOT + MESSAGE_HEADER + n * 8));
    let right = slot(SINT) == (MESSAGE_TIMER_EXPIRED, 0)
        && (word(0), word(1)) == (0, expires)
        && word(2) >= expires
        && calls::host_read(MSR_STIMER0_CONFIG) == TIMER_AUTO_ENABLE | TO_SINT;
    empty(SINT);
    right
}

/// No source, no timer; and a count of zero stops one.
fn timer_stopped() -> bool {
    let config = MSR_STIMER0_CONFIG + 2;
    calls::host_write(config + 1, u64::MAX);
    calls::host_write(config, TIMER_ENABLE);
    let nowhere = calls::host_read(config) == 0;
    calls::host_write(config, TIMER_ENABLE | TO_SINT);
    let enabled = calls::host_read(config) == TIMER_ENABLE | TO_SINT;
    calls::host_write(config + 1, 0);
    nowhere && enabled && calls::host_read(config) == TO_SINT
}

/// A period of direct mode, three times: ticks of the processor that asks.
pub fn direct() -> u64 {
    let ticks = &COUNTS[calls::me()].ticks;
    let before = ticks.load(Relaxed);
    let config = TIMER_ENABLE | TIMER_PERIODIC | TIMER_DIRECT;
    let vector = u64::from(TIMER) << TIMER_VECTOR_SHIFT;
    calls::host_write(MSR_STIMER0_CONFIG + 1, SHORT);
    calls::host_write(MSR_STIMER0_CONFIG, config | vector);
    while ticks.load(Relaxed) < before + 3 {
        calls::halt();
    }
    calls::host_write(MSR_STIMER0_CONFIG + 1, 0);
    3.min(ticks.load(Relaxed) - before)
}

/// Another processor: everything is at its start, and its timer is its own.
pub fn own() -> u64 {
    let fresh = calls::host_read(MSR_SINT0 + SINT as u32) == SINT_MASKED
        && calls::host_read(MSR_SCONTROL) == 0
        && calls::host_read(MSR_STIMER0_CONFIG) == 0;
    if fresh { direct() } else { 0 }
}
