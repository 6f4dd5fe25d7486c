//! What a processor needs to run Rust: segments, the handlers, a stack, and its own number.
#![allow(unsafe_code)] // reason: installs tables; the number stands in GS.base

use super::calls;
use crate::window;
use core::sync::atomic::{AtomicU64, Ordering};
use tessera_defs::x86::{MSR_GS_BASE, vector};
use tessera_hw::gdt::{Segments, Stacks};
use tessera_hw::idt::Idt;
use tessera_hw::instr;
use tessera_hw::trap::{self, TrapFrame};

/// Processors at most.
pub const MOST: usize = 8;
/// Vector of the timer.
pub const TIMER: u8 = 0x60;
/// Vector of what processors send each other.
pub const SIGNAL: u8 = 0x61;

/// Bytes of a stack.
pub const STACK: usize = 16 << 10;

/// One stack.
#[repr(C, align(16))]
pub struct Stack([u8; STACK]);

static mut SEGMENTS: [Segments; MOST] = [const { Segments::new() }; MOST];
static mut TABLE: Idt = Idt::new();
/// A stack a processor.
pub static mut STACKS: [Stack; MOST] = [const { Stack([0; STACK]) }; MOST];

/// What one processor counts.
pub struct Counts {
    /// Signals.
    pub signals: AtomicU64,
    /// Interrupts of its timer.
    pub ticks: AtomicU64,
    /// NMIs.
    pub nmis: AtomicU64,
}

/// All counts.
pub static COUNTS: [Counts; MOST] = [const {
    Counts {
        signals: AtomicU64::new(0),
        ticks: AtomicU64::new(0),
        nmis: AtomicU64::new(0),
    }
}; MOST];

/// Installs the tables of processor `index`, which runs this. Interrupts stay off.
pub fn prepare(index: usize) {
    let stacks = Stacks {
        ring0: stack(MOST - 1),
        ist: [0; 7],
    };
    // SAFETY: every processor has its own element, and installs it once a start; who goes to
    // ring 3 is processor 0 alone, while the last one does not run. The table of gates is written with the same values by each.
    unsafe {
        let (segments, table) = (&raw mut SEGMENTS, &raw mut TABLE);
        (*segments)[index].install(index as u8, stacks);
        trap::set_handler(handle);
        (*table).install(|_| 0);
        instr::wrmsr(MSR_GS_BASE, index as u64);
    }
}

/// First address above the stack of processor `index`.
pub fn stack(index: usize) -> u64 {
    &raw const STACKS as u64 + (index as u64 + 1) * STACK as u64
}

/// Number of the processor that asks.
pub fn me() -> usize {
    // SAFETY: `prepare` wrote the number.
    unsafe { instr::rdmsr(MSR_GS_BASE) as usize }
}

fn handle(frame: &mut TrapFrame) {
    let counts = &COUNTS[me()];
    let counter = match frame.vector as u8 {
        vector::NMI => {
            counts.nmis.fetch_add(1, Ordering::Relaxed);
            return;
        }
        TIMER => &counts.ticks,
        SIGNAL => &counts.signals,
        _ => {
            window::forget_handlers();
            window::die()
        }
    };
    counter.fetch_add(1, Ordering::Relaxed);
    calls::end_of_interrupt();
}
