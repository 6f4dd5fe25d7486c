//! Has the ledger keep numbers and, again and again, has it ended; then looks whether every number
//! that was acknowledged is there, once and in order.
#![no_std]
#![no_main]

use core::fmt::Write;
use core::sync::atomic::Ordering;
use tessera_abi::{error::Error, message};
use tessera_runtime::console::Console;
use tessera_runtime::device::Evidence;
use tessera_runtime::service::{self, Client};
use tessera_runtime::{state, time};

const KEEP: u32 = 1;
const COUNT: u32 = 2;
const READ: u32 = 3;
/// Number of the ledger among the services.
const LEDGER: u64 = 0;
const NUMBERS: u64 = 60;
/// A request to end the ledger after so many numbers: 10 for each client.
const EVERY: u64 = 6;

/// Services at most, and the name of the one that ends others.
const MOST: u64 = 32;
const CHAOS: u64 = u64::from_le_bytes(*b"chaos\0\0\0");

tessera_runtime::service!(main);

fn main(start: u64) -> u64 {
    let number = start & u64::from(u32::MAX);
    match run(number) {
        Ok(0) => 0,
        Ok(lost) => lost.min(99),
        Err(error) => {
            let _unwritable = writeln!(Console, "client {number}: {error:?}");
            100
        }
    }
}

/// Keeps the ledger at work until no more services are ended: what it has is sent again, and must not be kept
/// twice. How many answers were wrong.
fn under_load(ledger: &mut Client, supervisor: &mut Client) -> Result<u64, Error> {
    let mut wrong = 0;
    let chaos = (0..MOST).find(|n| described(supervisor, *n).is_ok_and(|d| d[0] == CHAOS));
    let chaos = chaos.ok_or(Error::BadArgument)?;
    while [service::state::WAITS, service::state::RUNS].contains(&described(supervisor, chaos)?[5])
    {
        for n in 0..EVERY {
            wrong += u64::from(ledger.ask(KEEP, 1000 + n)? != 1);
        }
        // So that services of lower priority get to work.
        time::sleep(1)?;
    }
    Ok(wrong)
}

fn described(supervisor: &mut Client, number: u64) -> Result<[u64; message::WORDS], Error> {
    let mut words = [0; message::WORDS];
    words[0] = number;
    supervisor
        .call(service::DESCRIBE, words)
        .map(|answer| answer.words)
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
    refused += under_load(&mut ledger, &mut supervisor)?;
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
