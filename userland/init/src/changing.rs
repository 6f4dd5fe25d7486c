//! Pages that get another frame while a thread on another processor reads them: it must read the new one
//! from the moment at which the call, or the touch, that changed them is over. Nothing is tried where there
//! is one processor.
#![allow(unsafe_code)] // maps regions at places of its own, and reads them on other processors

use crate::processors::{rounds, wait};
use crate::threads;
use core::sync::atomic::{AtomicU64, Ordering};
use tessera_abi::number::MAP_WRITE;
use tessera_abi::{error::Error, message, rights};
use tessera_runtime::handle::Handle;
use tessera_runtime::ipc::{self, Message, Received};
use tessera_runtime::{process, time};

const HERE: u64 = 0x0000_4800_0000_0000;
const THERE: u64 = 0x0000_4900_0000_0000;
const PATIENCE: u32 = 20_000_000;

/// What the watcher read last, and how often it has read.
static SEEN: AtomicU64 = AtomicU64::new(0);
static READINGS: AtomicU64 = AtomicU64::new(0);
static WRITTEN: AtomicU64 = AtomicU64::new(0);

extern "sysv64" fn watcher(address: u64) -> ! {
    loop {
        // SAFETY: mapped for as long as this thread lives.
        let value = unsafe { (address as *const u64).read_volatile() };
        SEEN.store(value, Ordering::Relaxed);
        READINGS.fetch_add(1, Ordering::Release);
    }
}

/// What the watcher reads from now on; none where it does not run.
fn seen() -> Option<u64> {
    let now = READINGS.load(Ordering::Acquire);
    // One may have begun before.
    wait(|| READINGS.load(Ordering::Acquire) >= now + 2).then(|| SEEN.load(Ordering::Relaxed))
}

fn write(address: u64, value: u64) {
    // SAFETY: a mapped page of a region that only these tests use.
    unsafe { (address as *mut u64).write_volatile(value) }
}

fn map(region: Handle, address: u64) -> Result<(), Error> {
    // SAFETY: the places are these tests' own.
    unsafe { process::map(region, address, MAP_WRITE) }
}

fn unmap(address: u64) -> Result<(), Error> {
    // SAFETY: the threads that touched it were ended.
    unsafe { process::unmap(address) }
}

fn end(threads: &[Handle]) -> Result<(), Error> {
    threads.iter().try_for_each(|thread| {
        process::kill(*thread)?;
        thread.close()
    })
}

/// The names and results of both tests.
pub fn run() -> [(&'static str, Result<bool, Error>); 2] {
    [
        ("a copy that is written", rounds(copied)),
        ("a page that is handed in", rounds(moved)),
    ]
}

/// Another processor reads the original's page of a copy, which this one writes.
fn copied(round: u64) -> Result<bool, Error> {
    let origin = process::region(1, Handle::NONE)?;
    map(origin, HERE)?;
    write(HERE, round + 1);
    unmap(HERE)?;
    let copy = process::region_of(1, Handle::NONE, origin)?;
    map(copy, HERE)?;
    let thread = threads::start(0, watcher, 2, HERE)?;
    let mut good = seen() == Some(round + 1);
    write(HERE, round + 100);
    good &= seen() == Some(round + 100);
    end(&[thread])?;
    unmap(HERE)?;
    copy.close()?;
    origin.close()?;
    Ok(good)
}

extern "sysv64" fn writer(address: u64) -> ! {
    write(address, 9);
    WRITTEN.store(1, Ordering::Release);
    loop {
        let _again = time::sleep(PATIENCE);
    }
}

/// Another processor reads a pager's page, which the pager hands in: for it there is a fresh one then.
fn moved(round: u64) -> Result<bool, Error> {
    WRITTEN.store(0, Ordering::Relaxed);
    let endpoint = Handle::endpoint()?;
    let badged = endpoint.duplicate(rights::SEND, 1)?;
    let pool = process::region(1, Handle::NONE)?;
    let paged = process::region_of(1, Handle::NONE, badged)?;
    map(pool, HERE)?;
    map(paged, THERE)?;
    write(HERE, round + 1);
    let writes = threads::start(0, writer, 3, THERE)?;
    let mut fault = Message::default();
    let came = ipc::receive(endpoint, &mut fault, PATIENCE)?;
    let mut good = came == Received::Message(1) && message::label(fault.tag) == message::FAULT;
    let watches = threads::start(1, watcher, 2, HERE)?;
    good &= seen() == Some(round + 1);
    let mut page = Message {
        tag: message::tag(message::FAULT_PAGE, 0),
        ..Message::default()
    };
    page.words[0] = pool.number().into();
    ipc::reply(&page)?;
    good &= seen() == Some(0);
    good &= wait(|| WRITTEN.load(Ordering::Acquire) == 1) && seen() == Some(0);
    end(&[writes, watches])?;
    unmap(HERE)?;
    unmap(THERE)?;
    for handle in [paged, pool, badged, endpoint] {
        handle.close()?;
    }
    Ok(good)
}
