//! The clock of timeouts: timer interrupts, whose pace is the host's word in every mode. It never
//! goes back; a host can make it slow or fast, or stop it.

use crate::timer;

/// Nominal microseconds between two timer interrupts: `timer::PERIOD` ticks of a 1 GHz bus clock,
/// divided by 16.
const TICK: u64 = timer::PERIOD * 16 / 1000;
/// The clock starts here, so that 0 and `wait::POLL` are no time.
const START: u64 = 1_000;

/// Microseconds.
pub fn now() -> u64 {
    START + timer::ticks() * TICK
}

/// When a timeout of an argument ends; 0 for never.
pub fn deadline(microseconds: u32) -> u64 {
    match microseconds {
        0 => 0,
        tessera_abi::number::POLL => tessera_objects::system::wait::POLL,
        // A timeout is at least as long as it says: the running tick does not count.
        us => now() + u64::from(us) + TICK,
    }
}
