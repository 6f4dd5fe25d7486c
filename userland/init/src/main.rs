//! The first user process: checks what the kernel promises it, supervises the services of the
//! bundle until those with a task have ended, prints what became of them, exits.
#![no_std]
#![no_main]

mod ahead;
mod changing;
mod checks;
mod devices;
mod grants;
mod memory;
mod processors;
mod selectors;
mod shared;
mod supervisor;
mod threads;

use core::fmt::Write;
use tessera_abi::error::Error;
use tessera_abi::info::{CLOCK_HARDWARE, CLOCK_HOST};
use tessera_defs::mode::Mode;
use tessera_runtime::console::Console;
use tessera_runtime::handle::Handle;
use tessera_runtime::{loader, process, system};

/// Timer interrupts to see before it is done.
const TICKS: u64 = 3;
/// Polls at most, so that a host without a timer ends the wait.
const POLLS: u64 = 500_000;

tessera_runtime::program!(main, tessera_runtime::panic::of_first);

/// `bundle` is its length.
fn main(bundle: u64) -> u64 {
    match run(bundle) {
        Ok(0) => 0,
        Ok(_) => 1,
        Err(error) => {
            let _unwritable = writeln!(Console, "init: check failed: {error:?}");
            2
        }
    }
}

/// How many checks failed.
fn run(bundle: u64) -> Result<u64, Error> {
    let mut failed = checks::run();
    let timer = wait_for_timer()?;
    failed += threads::run(timer);
    failed += processors::run();
    failed += devices::run();
    failed += selectors::run();
    failed += memory::run();
    failed += shared::run();
    let before = process::usage(Handle::NONE)?;
    let bundle = loader::bundle(bundle).ok_or(Error::BadArgument)?;
    let cost = memory::cost(&bundle)?;
    let mut supervisor = supervisor::Supervisor::new(bundle, timer)?;
    let outcome = supervisor.run()?;
    supervisor.close()?;
    let after = process::usage(Handle::NONE)?;
    failed += outcome.failed + u64::from(before != after);
    let _unwritable = writeln!(
        Console,
        "init: services done after {} starts, {} failed; pages {} before, {} after",
        outcome.starts, outcome.failed, before.pages, after.pages
    );
    let info = system::info()?;
    let mode = Mode::from_u32(info.mode).map_or("unknown", Mode::name);
    let clock = match info.clock {
        CLOCK_HARDWARE => "hardware",
        CLOCK_HOST => "host",
        _ => "unknown",
    };
    let line = writeln!(
        Console,
        "init: mode={mode} clock={clock} pages total={} accepted={} shared={} kernel={} process={cost} ticks={} failed={failed}",
        info.pages_total, info.pages_accepted, info.pages_shared, info.pages_kernel, info.ticks
    );
    line.map_err(|_| Error::BadAddress)?;
    Ok(failed + ahead::run())
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
