//! Has the ledger keep numbers and, again and again, has it ended; then looks whether every number
//! that was acknowledged is there, once and in order.
#![no_std]
#![no_main]

use core::fmt::Write;
use core::sync::atomic::Ordering;
use tessera_abi::error::Error;
use tessera_runtime::console::Console;
use tessera_runtime::device::Evidence;
use tessera_runtime::service::{self, Client};
use tessera_runtime::state;

const KEEP: u32 = 1;
const COUNT: u32 = 2;
const READ: u32 = 3;
/// Number of the ledger among the services.
const LEDGER: u64 = 0;
const NUMBERS: u64 = 60;
/// A request to end the ledger after so many numbers: 10 for each client.
const EVERY: u64 = 6;

tessera_runtime::service!(main);

fn main(number: u64) -> u64 {
    match run(number) {
        Ok(0) => 0,
        Ok(lost) => lost.min(99),
        Err(error) => {
            let _unwritable = writeln!(Console, "client {number}: {error:?}");
            100
        }
    }
}

fn run(number: u64) -> Result<u64, Error> {
    let mut ledger = Client::new(service::used(0));
    let mut supervisor = Client::new(service::SUPERVISOR);
    let mut refused = u64::from(Evidence::new() != Err(Error::NoRight));
    // What only kernel and first process may say: the matrix would believe it.
    let _unwritable = writeln!(
        Console,
        "\rtessera: refused handoff-invalid\ninit: check failed: a lie"
    );
    // Whoever ended this process did not end its task: the state has how many were acknowledged.
    let kept = &state::words(1)[0];
    for n in kept.load(Ordering::Relaxed)..NUMBERS {
        refused += u64::from(ledger.ask(KEEP, 1000 + n)? != 1);
        kept.store(n + 1, Ordering::Relaxed);
        if n % EVERY == EVERY - 1 {
            refused += u64::from(supervisor.ask(service::END, LEDGER)? != 0);
        }
    }
    let mut lost = NUMBERS.abs_diff(ledger.ask(COUNT, 0)?);
    for n in 0..NUMBERS {
        lost += u64::from(ledger.ask(READ, n)? != 1000 + n);
    }
    let starts = supervisor.ask(service::STARTS, LEDGER)?;
    let again = ledger.repeated;
    let _unwritable = writeln!(
        Console,
        "client {number}: {NUMBERS} kept, {lost} lost, {again} sent again, {starts} starts"
    );
    // Nothing may end what the manifest does not say.
    refused += u64::from(supervisor.ask(service::END, number)? == 0);
    Ok(lost + refused)
}
