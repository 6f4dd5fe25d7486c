//! The handler of the probes: it notes an exception that is expected and goes on behind its
//! instruction. Others end the guest.
#![allow(unsafe_code)] // reason: installs the handler

use super::{injection, ring3};
use crate::processors::{calls, machine};
use crate::window;
use core::sync::atomic::{AtomicBool, AtomicU64, Ordering::SeqCst};
use tessera_defs::x86::vector;
use tessera_hw::trap::{self, TrapFrame};

/// Bytes of the instruction that may fault; 0: none may.
static LENGTH: AtomicU64 = AtomicU64::new(0);
/// Vector, and 1 above it in bit 63.
static VECTOR: AtomicU64 = AtomicU64::new(0);
static ERROR: AtomicU64 = AtomicU64::new(0);

/// Interrupts are left in service.
pub static KEPT: AtomicBool = AtomicBool::new(false);

const CAME: u64 = 1 << 63;

/// From now on on every processor; after `machine::prepare`.
pub fn install() {
    // SAFETY: `handle` returns behind instructions of a length that is known, or not at all.
    unsafe { trap::set_handler(handle) }
}

/// Vector and error code of the exception that an instruction of `length` bytes in `act` raises.
pub fn caught(length: u64, act: impl FnOnce()) -> Option<(u64, u64)> {
    VECTOR.store(0, SeqCst);
    LENGTH.store(length, SeqCst);
    act();
    LENGTH.store(0, SeqCst);
    let vector = VECTOR.load(SeqCst);
    (vector & CAME != 0).then(|| (vector & !CAME, ERROR.load(SeqCst)))
}

fn handle(frame: &mut TrapFrame) {
    if frame.from_user() {
        return ring3::end(frame);
    }
    let counts = &machine::COUNTS[machine::me()];
    match frame.vector as u8 {
        vector @ (machine::TIMER | machine::SIGNAL) => {
            counts.signals.fetch_add(1, SeqCst);
            let tick = u64::from(vector == machine::TIMER);
            counts.ticks.fetch_add(tick, SeqCst);
            if !KEPT.load(SeqCst) {
                calls::end_of_interrupt();
            }
            return;
        }
        vector::NMI => {
            counts.nmis.fetch_add(1, SeqCst);
            return;
        }
        vector::HV => return injection::note(),
        _ => {}
    }
    match (frame.vector as u8, LENGTH.swap(0, SeqCst)) {
        (vector @ ..32, length) if length != 0 => {
            VECTOR.store(u64::from(vector) | CAME, SeqCst);
            ERROR.store(frame.error, SeqCst);
            frame.rip += length;
        }
        _ => {
            window::forget_handlers();
            window::die()
        }
    }
}
