//! The paravisor takes one interrupt, its own timer, at one place in its loop. All else is refused.
#![allow(unsafe_code)] // installs the processor's tables, once

use core::sync::atomic::{AtomicBool, Ordering};
use tessera_defs::refusal::Refusal;
use tessera_defs::x86::vector;
use tessera_handoff::layout::STACK_TOP;
use tessera_hw::gdt::{Segments, Stacks};
use tessera_hw::idt::Idt;
use tessera_hw::trap::{self, TrapFrame};

/// Vector of the paravisor's own timer.
pub const TIMER: u8 = 0x50;
/// Vector of spurious interrupts, which are not ended.
pub const SPURIOUS: u8 = 0xFF;

static mut SEGMENTS: Segments = Segments::new();
static mut TABLE: Idt = Idt::new();
static TICKED: AtomicBool = AtomicBool::new(false);
static STRAY: AtomicBool = AtomicBool::new(false);

/// Loads them. Called once.
pub fn install() {
    let stacks = Stacks {
        ring0: STACK_TOP,
        ist: [0; 7],
    };
    // SAFETY: called once, on the only processor; there is no ring 3.
    unsafe {
        let (segments, table) = (&raw mut SEGMENTS, &raw mut TABLE);
        (*segments).install(stacks);
        trap::set_handler(handle);
        (*table).install(|_| 0);
    }
}

/// Whether an interrupt came that nobody asked for: it is to be ended, or it holds back the timer.
pub fn strayed() -> bool {
    STRAY.swap(false, Ordering::Relaxed)
}

/// Whether the timer fired since the last call.
pub fn ticked() -> bool {
    TICKED.swap(false, Ordering::Relaxed)
}

fn handle(frame: &mut TrapFrame) {
    match frame.vector as u8 {
        TIMER if !frame.forced() => TICKED.store(true, Ordering::Relaxed),
        vector::VC => crate::door::refuse(Refusal::UnexpectedVc),
        vector::VE => crate::door::refuse(Refusal::UnexpectedVe),
        0..32 => crate::door::refuse(Refusal::UnexpectedException),
        0x80 => crate::door::refuse(Refusal::InjectedInterrupt),
        _ if frame.forced() => crate::door::refuse(Refusal::InjectedInterrupt),
        SPURIOUS => {}
        _ => STRAY.store(true, Ordering::Relaxed),
    }
}
