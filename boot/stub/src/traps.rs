//! Trap tables of the stub, so that reading an MSR that does not exist is an answer and not the
//! end. Everything else that traps here was injected, or is a bug: it is refused.
#![allow(unsafe_code)] // installs the processor's tables, once

use crate::entry::Door;
use crate::platform::Platform;
use core::sync::atomic::{AtomicU64, Ordering};
use tessera_defs::refusal::Refusal;
use tessera_defs::x86::vector;
use tessera_handoff::layout::STUB_END;
use tessera_hw::gdt::{Segments, Stacks};
use tessera_hw::idt::Idt;
use tessera_hw::trap::{self, TrapFrame};

static mut SEGMENTS: Segments = Segments::new();
static mut TABLE: Idt = Idt::new();
static DOOR: AtomicU64 = AtomicU64::new(0);

/// Loads them. Called once.
pub fn install(door: Door) {
    DOOR.store(door as u64, Ordering::Relaxed);
    let stacks = Stacks {
        ring0: STUB_END,
        ist: [0; 7],
    };
    // SAFETY: called once, on the only processor; the stub never enters ring 3, so RSP0 is
    // never used while the stack is.
    unsafe {
        let (segments, table) = (&raw mut SEGMENTS, &raw mut TABLE);
        (*segments).install(0, stacks);
        trap::set_handler(handle);
        (*table).install(|_| 0);
    }
}

fn handle(frame: &mut TrapFrame) {
    let refusal = match frame.vector {
        v if v == u64::from(vector::VC) => Refusal::UnexpectedVc,
        v if v == u64::from(vector::VE) => Refusal::UnexpectedVe,
        0..32 => Refusal::UnexpectedException,
        _ => Refusal::InjectedInterrupt,
    };
    Platform::of(Door::from_u64(DOOR.load(Ordering::Relaxed))).refuse(refusal)
}
