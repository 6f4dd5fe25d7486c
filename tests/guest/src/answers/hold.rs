//! A processor that waits for its startup as SNP's guests do where it is not created: by AP reset hold (56421 rev.
//! 2.04, 2.3.1 and 4.1.3), through the MSR and through the GHCB page.
#![allow(unsafe_code)] // reason: reads the GHCB MSR

use super::trap;
use crate::conformance::Probe;
use crate::processors::{Machine, calls, machine, snp};
use crate::window::{self, FREE, touch};
use core::hint::spin_loop;
use core::mem::offset_of;
use core::sync::atomic::{AtomicU64, Ordering::SeqCst};
use tessera_defs::snp::ghcb::{GhcbPage, ap_creation, exit};
use tessera_defs::snp::ghcb_msr as msr;
use tessera_hw::instr;

const AREA: u64 = FREE + 19 * 4096;
const ONE: u64 = 1 << 32;
const STARTUP: u64 = 6 << 8 | 8;

/// How far processor 1 is: it holds by the MSR, goes on, holds by the page, goes on.
static STAGE: AtomicU64 = AtomicU64::new(0);
/// What it was told.
static TOLD: [AtomicU64; 2] = [const { AtomicU64::new(0) }; 2];

pub const ALL: &[(&str, Probe)] = &[("reset-hold", |machine| {
    let features = snp::prepare_with(1, AREA, |area| area.rip = holding as *const () as u64);
    let created = features
        .is_some_and(|features| snp::ap_creation(ONE | ap_creation::CREATE, AREA, features));
    let first = created && held(1) && TOLD[0].load(SeqCst) & msr::INFO_MASK == MSR_ANSWER;
    let by_msr = first && TOLD[0].load(SeqCst) >> 12 != 0;
    STAGE.store(3, SeqCst);
    let by_page = held(4) && TOLD[1].load(SeqCst) != 0;
    stopped(machine) && by_msr && by_page
})];
const MSR_ANSWER: u64 = msr::AP_RESET_HOLD_RESPONSE;

/// Whether processor 1 stays at `stage` until it is started, and not longer.
fn held(stage: u64) -> bool {
    let at = |stage: u64| STAGE.load(SeqCst) == stage;
    let waits = turns(|| at(stage)) && !turns(|| !at(stage));
    waits
        && (0..100).any(|_| {
            calls::send(ONE | STARTUP);
            (0..1_000).any(|_| {
                spin_loop();
                at(stage + 1)
            })
        })
}

/// Whether it comes, while the other processor has its turns.
fn turns(what: impl Fn() -> bool) -> bool {
    (0..5_000).any(|_| {
        spin_loop();
        what()
    })
}

fn stopped(machine: &Machine) -> bool {
    snp::stop(machine, 1)
}

extern "sysv64" fn holding(index: usize) -> ! {
    machine::prepare(index);
    trap::install();
    calls::join(index);
    STAGE.store(1, SeqCst);
    crate::snp::ask(msr::AP_RESET_HOLD_REQUEST);
    // SAFETY: the answer.
    TOLD[0].store(unsafe { instr::rdmsr(msr::MSR_GHCB) }, SeqCst);
    STAGE.store(2, SeqCst);
    while STAGE.load(SeqCst) != 3 {
        spin_loop();
    }
    STAGE.store(4, SeqCst);
    snp::clear();
    snp::send([exit::AP_RESET_HOLD, 0, 0], &[], 0);
    let info = offset_of!(GhcbPage, sw_exit_info2) as u64;
    TOLD[1].store(touch(window::place(1 + index) + info), SeqCst);
    STAGE.store(5, SeqCst);
    loop {
        instr::hlt();
    }
}
