//! Tries the runtime: a heap that grows to the quota and says so, tasks, timers, notifications.
#![no_std]
#![no_main]

extern crate alloc;

use alloc::boxed::Box;
use alloc::collections::BTreeMap;
use alloc::string::{String, ToString};
use alloc::vec::Vec;
use core::fmt::Write;
use core::sync::atomic::{AtomicU64, Ordering};
use tessera_abi::error::Error;
use tessera_runtime::console::Console;
use tessera_runtime::handle::Handle;
use tessera_runtime::ipc::Message;
use tessera_runtime::shared::{self, Shared};
use tessera_runtime::{executor, process, service, system};

/// Pages of this process' quota, as in `services.toml`.
const QUOTA: usize = 128;
const PAGE: usize = 4096;
/// Where shared memory is mapped.
const BOUNCE: u64 = 0x0000_2000_0000_0000;

tessera_runtime::service!(main);

type Test = fn() -> Result<bool, Error>;

fn main(_: u64) -> u64 {
    let tests: [(&str, Test); 4] = [
        ("small pieces", small),
        ("the quota", quota),
        ("tasks", tasks),
        ("shared memory", bounced),
    ];
    let mut failed = 0;
    for (name, test) in tests {
        let result = test();
        if result != Ok(true) {
            let _unwritable = writeln!(Console, "trial: {name}: {result:?}");
            failed += 1;
        }
    }
    failed
}

/// Pieces of many sizes keep their content, and freed ones are used again.
fn small() -> Result<bool, Error> {
    let mut good = true;
    let mut pages = 0;
    for round in 0..4u64 {
        let mut map: BTreeMap<u64, String> = (0..200).map(|n| (n, n.to_string())).collect();
        map.retain(|n, _| n % 3 != 0);
        let boxes: Vec<Box<u64>> = (0..500).map(|n| Box::new(n * round)).collect();
        good &= map.iter().all(|(n, text)| *text == n.to_string());
        good &= (0..).zip(&boxes).all(|(n, value)| **value == n * round);
        let used = process::usage(Handle::NONE)?.pages;
        // What the first round took is enough for the others.
        good &= round == 0 || used == pages;
        pages = used;
    }
    Ok(good && pages != 0)
}

/// Whoever asks for more than the quota has gets nothing, and keeps what it had.
fn quota() -> Result<bool, Error> {
    let handles = process::usage(Handle::NONE)?.handles;
    let kept: Vec<u8> = (0..=255).cycle().take(50 * PAGE).collect();
    let none = Vec::<u8>::new().try_reserve_exact(QUOTA * PAGE).is_err();
    let usage = process::usage(Handle::NONE)?;
    let whole = (0..=255)
        .cycle()
        .zip(&kept)
        .all(|(n, byte): (u8, _)| n == *byte);
    Ok(none && whole && usage.pages <= usage.quota && usage.handles == handles)
}

/// Memory that the manifest gives: the supervisor keeps it, so that the host does not write to anybody else's when this
/// process is ended. None but the first process makes more of it.
fn bounced() -> Result<bool, Error> {
    const PAGES: u64 = 2;
    let none = shared::region(1, Handle::NONE) == Err(Error::NoRight);
    let mut memory = Shared::map(service::granted(0, 0), BOUNCE, PAGES)?;
    let mut good = none && Shared::map(service::granted(0, 0), BOUNCE << 1, PAGES + 1).is_err();
    for at in (0..PAGES * PAGE as u64).step_by(8) {
        memory.set_word(at, at)?;
    }
    let mut words = [0; 3 * 8];
    memory.read(PAGE as u64 - 8, &mut words)?;
    let expected = [-8i64, 0, 8].map(|n| (PAGE as i64 + n).to_le_bytes());
    good &= words == *expected.as_flattened();
    good &= memory.word(PAGES * PAGE as u64 - 8)?.any() == PAGES * PAGE as u64 - 8;
    Ok(good && memory.host_address(0)? != memory.host_address(1)?)
}

static TURNS: AtomicU64 = AtomicU64::new(0);

/// Two tasks that take turns, one that is told by another, and timers where there is a timer.
fn tasks() -> Result<bool, Error> {
    let timer = system::info()?.ticks != 0;
    executor::run(together(timer), |_, _| Message::default())?
}

async fn together(timer: bool) -> Result<bool, Error> {
    let notification = executor::notification()?;
    let turns = [0, 1].map(|own| executor::spawn(takes_turns(own)));
    let told = executor::spawn(executor::bits(0b110));
    let mut good = true;
    for task in turns {
        good &= task.await == 10;
    }
    notification.signal(0b1010)?;
    good &= told.await == 0b10;
    good &= executor::bits(0b1000).await == 0b1000;
    if timer {
        let before = system::info()?.now;
        let long = executor::spawn(sleeps(20_000));
        let short = executor::spawn(sleeps(5_000));
        let (long, short) = (long.await?, short.await?);
        // Both late where the host runs nobody for a while.
        good &= short <= long && short >= before + 5_000 && long >= before + 20_000;
    }
    Ok(good)
}

/// How many turns it had, each at its time.
async fn takes_turns(own: u64) -> u64 {
    let mut turns = 0;
    for _ in 0..10 {
        turns += u64::from(TURNS.fetch_add(1, Ordering::Relaxed) % 2 == own);
        executor::yield_now().await;
    }
    turns
}

/// When it woke.
async fn sleeps(microseconds: u64) -> Result<u64, Error> {
    executor::after(microseconds).await;
    system::info().map(|info| info.now)
}
