//! The clock of timeouts. It never goes back; whose word it is, `INFO` tells.

use crate::boot::Boot;
use crate::timer;
use spin::Once;
use tessera_abi::info::{CLOCK_HARDWARE, CLOCK_HOST};
use tessera_hw::instr;
use tessera_isolation::strategy::clock::{Clock, LEAF, microseconds};

/// Nominal microseconds between two timer interrupts: `timer::PERIOD` ticks of a 1 GHz bus clock,
/// divided by 16.
const TICK: u64 = timer::PERIOD * 16 / 1000;
/// The clock starts here, so that 0 and `wait::POLL` are no time.
const START: u64 = 1_000;

/// Where it comes from, and the time stamp at its start.
static CLOCK: Once<(Clock, u64)> = Once::new();

/// Chooses the mode's clock.
pub fn install(boot: &Boot) {
    let clock = Clock::of(boot.mode, || {
        let leaf = instr::cpuid(LEAF, 0);
        [leaf.eax, leaf.ebx, leaf.ecx]
    });
    CLOCK.call_once(|| (clock, instr::rdtsc()));
    log::debug!("clock: {clock:?}");
}

/// Microseconds, and how many more it may be.
fn read() -> (u64, u64) {
    match CLOCK.get() {
        Some((Clock::TimeStamp { scale }, start)) => {
            let passed = instr::rdtsc().saturating_sub(*start);
            (START + microseconds(*scale, passed), 1)
        }
        _ => (START + timer::ticks() * TICK, TICK),
    }
}

/// Microseconds.
pub fn now() -> u64 {
    read().0
}

/// Whose word it is: `CLOCK_*`.
pub fn word() -> u64 {
    match read().1 {
        TICK => CLOCK_HOST,
        _ => CLOCK_HARDWARE,
    }
}

/// When a timeout of an argument ends; 0 for never.
pub fn deadline(microseconds: u32) -> u64 {
    match microseconds {
        0 => 0,
        tessera_abi::number::POLL => tessera_objects::system::wait::POLL,
        // A timeout is at least as long as it says: what has passed of the running tick does not count.
        us => {
            let (now, more) = read();
            now + u64::from(us) + more
        }
    }
}
