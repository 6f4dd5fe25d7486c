//! What a guest below a paravisor can do wrong on either vendor's processor.
#![allow(unsafe_code)] // reason: breaks the promises of tessera-hw on purpose

use crate::window::{BEYOND, Guest, RAM, put, touch};
use core::arch::asm;
use tessera_handoff::layout::{EVENT_LOG, PARAVISOR_BASE, PFE_PAGE, room};
use tessera_hw::instr;

/// Where the paravisor keeps the lower guest's registers.
const LOWER_STATE: u64 = room::of(0) + room::LOWER;

/// Deeds by act.
pub const DEEDS: crate::Deeds = &[
    ("read-paravisor", |guest| {
        touch(guest.private(PARAVISOR_BASE));
    }),
    ("write-paravisor", |guest| {
        put(guest.private(PARAVISOR_BASE), 0);
    }),
    ("run-paravisor", |guest| run(guest, PARAVISOR_BASE)),
    ("read-lower-state", |guest| {
        touch(guest.private(LOWER_STATE));
    }),
    ("write-enumeration", |guest| put(guest.private(PFE_PAGE), 0)),
    ("write-event-log", |guest| put(guest.private(EVENT_LOG), 0)),
    ("private-as-shared", |guest| {
        touch(guest.shared(RAM));
    }),
    ("out-of-range", |guest| {
        touch(guest.private(BEYOND));
    }),
    ("unhandled-exception", |_| crate::window::die()),
    ("string-io", |_| string_io()),
    ("cpuid-0", |_| cpuids(0)),
    ("cpuid-1000", |_| cpuids(1000)),
];

/// Calls the first byte of a page.
fn run(guest: &mut Guest, gpa: u64) {
    let page = guest.private(gpa);
    // SAFETY: the fetch must not succeed; whatever comes of it is the guest's end.
    unsafe { asm!("call {}", in(reg) page, clobber_abi("sysv64")) }
}

/// So many exits by CPUID, then soft off: what one costs is counted by their difference.
fn cpuids(count: u32) {
    for _ in 0..count {
        core::hint::black_box(instr::cpuid(1, 0));
    }
    super::machine::shut_down();
}

/// OUTS, which nobody serves.
fn string_io() {
    let text = b"x";
    // SAFETY: reads one byte.
    unsafe { asm!("outsb", in("dx") 0x3F8u16, inout("rsi") text.as_ptr() => _) }
}
