//! The first process of the boots that count acceptance: has 1 GiB accepted ahead, or 64 where there are so
//! many, and waits for it. What that took the host counts, which knows when ring 3 began.
#![no_std]
#![no_main]

use core::fmt::Write;
use tessera_abi::error::Error;
use tessera_runtime::console::Console;
use tessera_runtime::device::Inspection;
use tessera_runtime::{system, time};

tessera_runtime::program!(main, panic_told);

fn panic_told(info: &core::panic::PanicInfo<'_>) -> ! {
    let _unwritable = writeln!(Console, "bench: panic: {info}");
    system::exit(101)
}

const GIB: u64 = 1 << 30 >> 12;

fn main(_: u64) -> u64 {
    // Leaves the guest: what the host counted until here is the boot.
    core::hint::black_box(core::arch::x86_64::__cpuid(0));
    match accept() {
        Ok(pages) => {
            let _unwritable = writeln!(Console, "bench: accepted {pages}");
            0
        }
        Err(error) => {
            let _unwritable = writeln!(Console, "bench: failed: {error:?}");
            1
        }
    }
}

/// Pages that were accepted.
fn accept() -> Result<u64, Error> {
    let inspection = Inspection::new()?;
    let before = system::info()?;
    let left = before.pages_total - before.pages_accepted;
    let pages = if left < 64 * GIB { GIB } else { 64 * GIB };
    let wanted = before.pages_accepted + pages;
    let mut now = inspection.accept(wanted)?;
    while now < wanted {
        time::sleep(1_000)?;
        now = system::info()?.pages_accepted;
    }
    Ok(now - before.pages_accepted)
}
