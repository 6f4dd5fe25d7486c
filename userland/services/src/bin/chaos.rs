//! Has services ended that it chooses at random, at moments that nobody chooses, and then panics, once.
//! The services must go on, and the clients look whether anything was lost.
#![no_std]
#![no_main]
#![allow(unsafe_code)] // one instruction: RDRAND

use core::arch::asm;
use core::fmt::Write;
use core::sync::atomic::{AtomicU64, Ordering};
use tessera_abi::error::Error;
use tessera_runtime::console::Console;
use tessera_runtime::service::{self, Client};
use tessera_runtime::{state, time};

/// Services of the bundle are among the first so many.
const SERVICES: usize = 8;
/// Tries at most; a service that is between two lives cannot be ended.
const TRIES: u64 = 100_000;
/// From so many ends on it sleeps now and then, so that services of lower priority get to work as well.
const MANY: u64 = 100;

tessera_runtime::service!(main);

/// `start` has in its high half how many ends there are to be in all.
fn main(start: u64) -> u64 {
    let [phase, ended, random, victims @ ..] = state::words(1) else {
        return 1;
    };
    if phase.load(Ordering::Relaxed) == 0 {
        if random.load(Ordering::Relaxed) == 0 {
            random.store(seed() | 1, Ordering::Relaxed);
        }
        let ends = start >> 32;
        match run(ends, ended, random, &victims[..SERVICES]) {
            Ok(0) => phase.store(1, Ordering::Relaxed),
            wrong => {
                let _unwritable = writeln!(Console, "chaos: {wrong:?}");
                return 2;
            }
        }
        // The supervisor must hear of it, and print it as one line.
        panic!(
            "with\ninit: check failed: a lie, and more text than ten words of a message can carry"
        )
    }
    0
}

/// How many ends are left when there were too many tries.
fn run(
    ends: u64,
    ended: &AtomicU64,
    random: &AtomicU64,
    victims: &[AtomicU64],
) -> Result<u64, Error> {
    let start = random.load(Ordering::Relaxed);
    let mut supervisor = Client::new(service::SUPERVISOR);
    for _ in 0..TRIES {
        if ended.load(Ordering::Relaxed) == ends {
            break;
        }
        for _ in 0..next(random) % 24 {
            time::yield_now();
        }
        if ends >= MANY && next(random).is_multiple_of(4) {
            time::sleep(1)?;
        }
        let victim = (next(random) % SERVICES as u64) as usize;
        // Counted before: where it is this process that ends, nobody is here to count afterwards.
        let counts = [ended, &victims[victim]];
        for count in counts {
            count.fetch_add(1, Ordering::Relaxed);
        }
        // Refused where the manifest does not allow it, or where nothing runs.
        if supervisor.ask(service::END, victim as u64)? != 0 {
            for count in counts {
                count.fetch_sub(1, Ordering::Relaxed);
            }
        }
    }
    let _unwritable = writeln!(
        Console,
        "chaos: random numbers from {start:#x} on in this life, {ended:?} ends, by service {victims:?}"
    );
    Ok(ends - ended.load(Ordering::Relaxed))
}

/// The processor's, which repeats in QEMU with the same `-seed`. Without one, time.
fn seed() -> u64 {
    let (value, good): (u64, u8);
    // SAFETY: no memory; the processors of this project have it, and others end this process.
    unsafe { asm!("rdrand {}", "setc {}", out(reg) value, out(reg_byte) good) }
    if good == 1 { value } else { 1 }
}

/// SplitMix64. What it stands at outlives this process.
fn next(random: &AtomicU64) -> u64 {
    const STEP: u64 = 0x9E37_79B9_7F4A_7C15;
    let state = random.fetch_add(STEP, Ordering::Relaxed).wrapping_add(STEP);
    let z = (state ^ state >> 30).wrapping_mul(0xBF58_476D_1CE4_E5B9);
    let z = (z ^ z >> 27).wrapping_mul(0x94D0_49BB_1331_11EB);
    z ^ z >> 31
}
