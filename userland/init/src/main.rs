//! The first user process: checks what the kernel promises it, prints what it runs on, exits.
#![no_std]
#![no_main]

mod checks;
mod entry;
mod threads;

use core::fmt::Write;
use tessera_abi::error::Error;
use tessera_defs::mode::Mode;
use tessera_runtime::console::Console;
use tessera_runtime::system;

/// Timer interrupts to see before it is done.
const TICKS: u64 = 3;
/// Polls at most, so that a host without a timer ends the wait.
const POLLS: u64 = 500_000;

fn main() -> u64 {
    let mut failed = checks::run();
    let Ok(timer) = wait_for_timer() else {
        return 2;
    };
    failed += threads::run(timer);
    let Ok(info) = system::info() else {
        return 2;
    };
    let mode = Mode::from_u32(info.mode).map_or("unknown", Mode::name);
    let line = writeln!(
        Console,
        "init: mode={mode} pages total={} accepted={} shared={} ticks={} failed={failed}",
        info.pages_total, info.pages_accepted, info.pages_shared, info.ticks
    );
    if line.is_ok() && failed == 0 { 0 } else { 1 }
}

/// Whether timer interrupts come.
fn wait_for_timer() -> Result<bool, Error> {
    for _ in 0..POLLS {
        if system::info()?.ticks >= TICKS {
            return Ok(true);
        }
    }
    Ok(false)
}
