//! Trap tables of the stub, so that reading an MSR that does not exist is an answer and not the
//! end. Everything else that traps here halts.
#![allow(unsafe_code)] // installs the processor's tables, once

use tessera_handoff::layout::STUB_END;
use tessera_hw::gdt::{Segments, Stacks};
use tessera_hw::idt::Idt;

static mut SEGMENTS: Segments = Segments::new();
static mut TABLE: Idt = Idt::new();

/// Loads them. Called once.
pub fn install() {
    let stacks = Stacks {
        ring0: STUB_END,
        ist: [0; 7],
    };
    // SAFETY: called once, on the only processor; the stub never enters ring 3, so RSP0 is
    // never used while the stack is.
    unsafe {
        (*(&raw mut SEGMENTS)).install(stacks);
        (*(&raw mut TABLE)).install(&[]);
    }
}
