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

/// Ends in all.
const ENDS: u64 = 20;
/// Services of the bundle that it may end are among the first so many.
const SERVICES: u64 = 8;
/// Tries at most; a service that is between two lives cannot be ended.
const TRIES: u64 = 100_000;

tessera_runtime::service!(main);

fn main(_: u64) -> u64 {
    let [phase, ended, ..] = state::words(1) else {
        return 1;
    };
    if phase.load(Ordering::Relaxed) == 0 {
        match run(ended) {
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
fn run(ended: &AtomicU64) -> Result<u64, Error> {
    let seed = seed();
    let mut random = seed;
    let mut supervisor = Client::new(service::SUPERVISOR);
    let mut victims = [0u8; SERVICES as usize];
    for _ in 0..TRIES {
        if ended.load(Ordering::Relaxed) == ENDS {
            break;
        }
        for _ in 0..next(&mut random) % 24 {
            time::yield_now();
        }
        let victim = next(&mut random) % SERVICES;
        // Refused where the manifest does not allow it, or where nothing runs.
        if supervisor.ask(service::END, victim)? == 0 {
            victims[victim as usize] += 1;
            ended.fetch_add(1, Ordering::Relaxed);
        }
    }
    let _unwritable = writeln!(
        Console,
        "chaos: seed {seed:#x}, ends by service {victims:?}"
    );
    Ok(ENDS - ended.load(Ordering::Relaxed))
}

/// The processor's, which repeats in QEMU with the same `-seed`. Without one, time.
fn seed() -> u64 {
    let (value, good): (u64, u8);
    // SAFETY: no memory; the processors of this project have it, and others end this process.
    unsafe { asm!("rdrand {}", "setc {}", out(reg) value, out(reg_byte) good) }
    if good == 1 { value } else { 1 }
}

/// SplitMix64.
fn next(state: &mut u64) -> u64 {
    *state = state.wrapping_add(0x9E37_79B9_7F4A_7C15);
    let z = (*state ^ *state >> 30).wrapping_mul(0xBF58_476D_1CE4_E5B9);
    let z = (z ^ z >> 27).wrapping_mul(0x94D0_49BB_1331_11EB);
    z ^ z >> 31
}
