//! Two threads of one process that yield: there and back is two switches.
#![allow(unsafe_code)] // reason: starts a thread

use crate::stamp::{SAMPLES, stamp};
use crate::{say, system};
use core::sync::atomic::{AtomicU32, Ordering::SeqCst};

static TURNS: AtomicU32 = AtomicU32::new(0);

extern "sysv64" fn other() -> ! {
    loop {
        TURNS.fetch_add(1, SeqCst);
        system::yield_now();
    }
}

/// A pair of yields counts where the other thread had exactly one turn in between.
pub fn yields(empty: u64) {
    let stack = system::memory(4096, system::MAP_PRIVATE) + 4096;
    // SAFETY: fresh memory.
    unsafe { system::thread(other, stack) };
    system::yield_now();
    let mut least = u64::MAX;
    for _ in 0..SAMPLES {
        let turns = TURNS.load(SeqCst);
        let before = stamp();
        system::yield_now();
        let spent = stamp() - before;
        if TURNS.load(SeqCst) == turns + 1 {
            least = least.min(spent);
        }
    }
    // The other one adds to its count: one locked instruction.
    say::line("thread-switch", Some((least - empty) / 2));
}
