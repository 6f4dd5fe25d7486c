//! One round trip of a page from private to shared and back, before anything depends on it.

use crate::{host, memory, timer, windows};
use tessera_defs::refusal::Refusal;
use tessera_handoff::layout::{DIRECT_MAP, SHARED_MAP};

const PATTERN: u64 = 0x5465_7373_6572_6121;

/// Shares a frame, writes through the shared mapping, takes it back, and checks that what comes
/// back is zero and writable. A host that claims more than it did ends the boot here.
pub fn visibility_round_trip() {
    if let Err(refusal) = round_trip() {
        host::refuse(refusal);
    }
}

fn round_trip() -> Result<(), Refusal> {
    let shared = memory::share(memory::frame())?;
    let window = shared.address() + (SHARED_MAP - DIRECT_MAP);
    windows::write_word(window, PATTERN);
    if windows::read_word(window) != PATTERN {
        return Err(Refusal::VisibilityLied);
    }
    let frame = memory::unshare(shared)?;
    let gpa = frame.address();
    windows::write_word(gpa, PATTERN);
    if windows::read_word(gpa) != PATTERN {
        return Err(Refusal::VisibilityLied);
    }
    memory::free(frame);
    Ok(())
}

/// Halts until the first timer interrupt, by the instruction itself: on a plain machine it
/// stops the processor, elsewhere it is a host call behind an exception. Without a timer there
/// is nothing to wait for.
pub fn halt_until_tick() {
    while timer::started() && timer::ticks() == 0 {
        tessera_hw::instr::wait_for_interrupt();
    }
    tessera_hw::instr::disable_interrupts();
}
