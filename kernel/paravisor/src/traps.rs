//! A processor takes interrupts at one place in its loop: its own timer, kicks of other processors, lines and
//! messages of the host. Exceptions are refused.
#![allow(unsafe_code)] // installs the processor's tables, once

use crate::stacks;
use core::sync::atomic::{AtomicU32, Ordering};
use tessera_defs::refusal::Refusal;
use tessera_defs::x86::vector;
use tessera_handoff::layout::PARAVISOR_VPS;
use tessera_hw::gdt::{Segments, Stacks};
use tessera_hw::idt::Idt;
use tessera_hw::trap::{self, TrapFrame};
use tessera_objects::apic::io::PINS;

/// Vector of the paravisor's own timer.
pub const TIMER: u8 = 0x50;
/// Vector by which another processor says that it sent something.
pub const KICK: u8 = 0x51;
/// Vector of the host's messages to the paravisor.
pub const MESSAGE: u8 = 0x52;
/// Vectors of the host's IOAPIC pins, one each from here on.
pub const LINES: u8 = 0x60;
const LINES_END: u8 = LINES + PINS as u8;
/// Vector of spurious interrupts.
pub const SPURIOUS: u8 = 0xFF;

static mut SEGMENTS: [Segments; PARAVISOR_VPS] = [const { Segments::new() }; PARAVISOR_VPS];
static mut TABLE: Idt = Idt::new();
static CAME: [Came; PARAVISOR_VPS] = [const { Came::new() }; PARAVISOR_VPS];

/// What came to a processor since it looked last.
struct Came {
    /// Kinds of it: `came`.
    kinds: AtomicU32,
    strays: AtomicU32,
    lines: AtomicU32,
}

impl Came {
    const fn new() -> Self {
        Self {
            kinds: AtomicU32::new(0),
            strays: AtomicU32::new(0),
            lines: AtomicU32::new(0),
        }
    }
}

/// Kinds of interrupts, a bit each.
pub mod kind {
    /// The timer fired.
    pub const TICK: u32 = 1 << 0;
    /// The host has a message. That interrupt is in service.
    pub const MESSAGE: u32 = 1 << 1;
    /// Pins of the host's IOAPIC asked.
    pub const LINE: u32 = 1 << 2;
    /// Kicks, and what nobody asked for.
    pub const STRAY: u32 = 1 << 3;
}

/// Loads them on this processor. Called once on each, on the first one before the others start.
pub fn install(index: usize) {
    let stacks = Stacks {
        ring0: stacks::top(index),
        ist: [0; 7],
    };
    let (segments, table) = (&raw mut SEGMENTS, &raw mut TABLE);
    // SAFETY: a processor's own segments, once; there is no ring 3. The first processor fills the
    // table while it is the only one.
    unsafe {
        (*segments)[index].install(index as u8, stacks);
        if index == 0 {
            trap::set_handler(handle);
            (*table).install(|_| 0);
        } else {
            (*table).load();
        }
    }
}

/// Kinds of what came since the last call: most turns look at nothing else.
pub fn came(index: usize) -> u32 {
    let kinds = &CAME[index].kinds;
    match kinds.load(Ordering::Relaxed) {
        0 => 0,
        _ => kinds.swap(0, Ordering::Relaxed),
    }
}

/// How many interrupts came that nobody asked for: each is to be ended, or it holds back the timer.
pub fn strays(index: usize) -> u32 {
    CAME[index].strays.swap(0, Ordering::Relaxed)
}

/// Pins of the host's IOAPIC that asked since the last call, a bit each. Each is in service.
pub fn lines(index: usize) -> u32 {
    CAME[index].lines.swap(0, Ordering::Relaxed)
}

fn handle(frame: &mut TrapFrame) {
    let came = &CAME[stacks::processor(&raw const *frame as u64)];
    let kind = match frame.vector as u8 {
        TIMER if !frame.forced() => kind::TICK,
        MESSAGE if !frame.forced() => kind::MESSAGE,
        vector::VC => crate::door::refuse(Refusal::UnexpectedVc),
        vector::VE => crate::door::refuse(Refusal::UnexpectedVe),
        0..32 => crate::door::refuse(Refusal::UnexpectedException),
        0x80 => crate::door::refuse(Refusal::InjectedInterrupt),
        _ if frame.forced() => crate::door::refuse(Refusal::InjectedInterrupt),
        line @ LINES..LINES_END => {
            came.lines.fetch_or(1 << (line - LINES), Ordering::Relaxed);
            kind::LINE
        }
        // Whoever was kicked looks at what was sent whenever it comes by; so does who was not. The spurious one
        // too may be one that a host sends: then it is in service.
        _ => {
            came.strays.fetch_add(1, Ordering::Relaxed);
            kind::STRAY
        }
    };
    came.kinds.fetch_or(kind, Ordering::Relaxed);
}
