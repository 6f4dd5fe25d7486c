//! What processes must be able to rely on of memory: pages that come when they are touched, private
//! copies, pages that a pager brings, also where the kernel needs them for a call; and what a
//! process costs.
#![allow(unsafe_code)] // maps regions at places of its own, and touches them

use crate::threads;
use core::fmt::Write;
use core::sync::atomic::{AtomicU64, Ordering};
use tessera_abi::error::Error;
use tessera_abi::number::{MAP_EXECUTE, MAP_READ, MAP_WRITE, PRINT};
use tessera_abi::{message, rights};
use tessera_handoff::bundle::Bundle;
use tessera_runtime::console::Console;
use tessera_runtime::handle::Handle;
use tessera_runtime::ipc::{self, Message, Received};
use tessera_runtime::{loader, process, system};

const PAGE: u64 = 4096;
/// Places where regions are mapped; they share no page table.
const HERE: u64 = 0x0000_4000_0000_0000;
const THERE: u64 = 0x0000_5000_0000_0000;
/// Pages of a large region: more than the whole boot may accept.
const LARGE: u64 = 4_000;

/// Runs every test; how many failed.
pub fn run() -> u64 {
    let before = process::usage(Handle::NONE);
    let tests: [(&str, threads::Test); 5] = [
        ("pages of zeros", zeros),
        ("private copies", copies),
        ("writable or executable", exclusive),
        ("a pager", paged),
        ("a full quota", quota),
    ];
    let mut failed = 0;
    for (name, test) in tests {
        let result = test();
        if result != Ok(true) || process::usage(Handle::NONE) != before {
            let _unwritable = writeln!(Console, "init: check failed: {name}: {result:?}");
            failed += 1;
        }
    }
    failed
}

fn write(address: u64, value: u64) {
    // SAFETY: a mapped page of a region that only these tests use.
    unsafe { (address as *mut u64).write_volatile(value) }
}

fn read(address: u64) -> u64 {
    // SAFETY: as `write`.
    unsafe { (address as *const u64).read_volatile() }
}

fn map(region: Handle, address: u64, access: u64) -> Result<(), Error> {
    // SAFETY: the places are these tests' own.
    unsafe { process::map(region, address, access) }
}

fn unmap(address: u64) -> Result<(), Error> {
    // SAFETY: the tests touch it no more.
    unsafe { process::unmap(address) }
}

/// A region is paid for at once, and has only the pages that are touched; all of them zero.
fn zeros() -> Result<bool, Error> {
    let before = process::usage(Handle::NONE)?;
    let region = process::region(LARGE, Handle::NONE)?;
    map(region, HERE, MAP_WRITE)?;
    let mapped = process::usage(Handle::NONE)?;
    // A list page for each 512 pages and one more; page tables for 2 MiB each, and above them.
    let (lists, tables) = (1 + LARGE.div_ceil(512), LARGE.div_ceil(512) + 2);
    let mut good = mapped.pages == before.pages + LARGE + lists + tables;
    good &= mapped.tables == before.tables + lists + tables;
    for page in [0, 511, 512, LARGE - 1] {
        good &= read(HERE + page * PAGE) == 0 && read(HERE + page * PAGE + PAGE - 8) == 0;
        write(HERE + page * PAGE, page + 1);
    }
    unmap(HERE)?;
    map(region, THERE, MAP_READ)?;
    for page in [0, 511, 512, LARGE - 1] {
        good &= read(THERE + page * PAGE) == page + 1;
    }
    unmap(THERE)?;
    region.close()?;
    Ok(good)
}

fn copies() -> Result<bool, Error> {
    let origin = process::region(2, Handle::NONE)?;
    map(origin, HERE, MAP_WRITE)?;
    write(HERE, 11);
    let mut good = process::region_of(3, Handle::NONE, origin) == Err(Error::Busy);
    unmap(HERE)?;
    let copy = process::region_of(3, Handle::NONE, origin)?;
    good &= process::region_of(3, Handle::NONE, copy) == Err(Error::BadArgument);
    good &= map(origin, HERE, MAP_WRITE) == Err(Error::Busy);
    map(origin, HERE, MAP_READ)?;
    let second = HERE + (PAGE << 9);
    map(copy, THERE, MAP_WRITE)?;
    map(copy, second, MAP_WRITE)?;
    // Read by one mapping, written by the other: both see the copy's own page then.
    good &= [0, PAGE, 2 * PAGE].map(|at| read(THERE + at)) == [11, 0, 0];
    for at in [0, PAGE, 2 * PAGE] {
        write(second + at, 20 + at);
        good &= read(THERE + at) == 20 + at;
    }
    good &= read(HERE) == 11 && read(HERE + PAGE) == 0;
    for address in [HERE, THERE, second] {
        unmap(address)?;
    }
    // The origin's pages outlive its last handle, until the copy is gone too.
    origin.close()?;
    let info = process::usage(Handle::NONE)?;
    copy.close()?;
    good &= process::usage(Handle::NONE)?.pages + 5 == info.pages;
    Ok(good)
}

/// Nothing is writable in one place and executable in another.
fn exclusive() -> Result<bool, Error> {
    let region = process::region(1, Handle::NONE)?;
    map(region, HERE, MAP_WRITE)?;
    let mut good = map(region, THERE, MAP_EXECUTE) == Err(Error::Busy);
    unmap(HERE)?;
    map(region, THERE, MAP_EXECUTE)?;
    good &= map(region, HERE, MAP_WRITE) == Err(Error::Busy);
    map(region, HERE, MAP_READ)?;
    unmap(HERE)?;
    unmap(THERE)?;
    region.close()?;
    Ok(good)
}

/// Faults that the pager of the test answered.
static BROUGHT: AtomicU64 = AtomicU64::new(0);
/// Badge of the region.
const BADGE: u64 = 31;
const TEXT: &[u8] = b"init: a page that a pager brought for a call\n";

/// The pager: a thread of this process. Each page that it brings says which one was asked for; the
/// first time it only says that the page shall be touched again.
extern "sysv64" fn pager(endpoint: u64) -> ! {
    let endpoint = Handle::from_number(endpoint as u32);
    let Ok(pool) = process::region(4, Handle::NONE) else {
        system::exit(97)
    };
    let mut first = Message::default();
    let Ok(Received::Message(_)) = ipc::receive(endpoint, &mut first, 0) else {
        system::exit(96)
    };
    let (mut label, mut words) = (0, [0; 2]);
    loop {
        let Ok(fault) = ipc::reply_receive_short(endpoint, label, words) else {
            system::exit(95)
        };
        if fault.tag == 0 {
            // The test is over.
            let _closed = pool.close();
            (label, words) = (0, [0; 2]);
            continue;
        }
        let n = BROUGHT.fetch_add(1, Ordering::Relaxed);
        if (fault.badge, message::label(fault.tag)) != (BADGE, message::FAULT) {
            system::exit(94);
        }
        if n == 0 {
            (label, words) = (0, [0; 2]);
            continue;
        }
        let at = THERE + (n & 3) * PAGE;
        if map(pool, THERE, MAP_WRITE).is_err() {
            system::exit(93);
        }
        write(at, fault.words[2] + 1);
        // SAFETY: a page of the pool; the text is shorter.
        unsafe {
            let to = (at + 64) as *mut u8;
            to.copy_from_nonoverlapping(TEXT.as_ptr(), TEXT.len());
        }
        if n.is_multiple_of(2) && unmap(THERE).is_err() {
            system::exit(92);
        }
        // Every other time the page moves while the pager has it mapped, and unmaps it later.
        (label, words) = (message::FAULT_PAGE, [pool.number().into(), n & 3]);
        if !n.is_multiple_of(2) {
            LEFT.store(at, Ordering::Relaxed);
        }
    }
}

/// Where the pager had a page mapped that it handed in.
static LEFT: AtomicU64 = AtomicU64::new(0);

fn paged() -> Result<bool, Error> {
    let endpoint = Handle::endpoint()?;
    let badged = endpoint.duplicate(rights::SEND, BADGE)?;
    let thread = threads::start(0, pager, 10, endpoint.number().into())?;
    ipc::call_word(endpoint, 0, 0)?;
    let region = process::region_of(9, Handle::NONE, badged)?;
    map(region, HERE, MAP_WRITE)?;
    let mut good = true;
    for page in [3, 0, 8] {
        good &= read(HERE + page * PAGE) == page + 1;
        write(HERE + page * PAGE, 100 + page);
        good &= read(HERE + page * PAGE) == 100 + page;
        // What moved is gone from the pager's place: a fresh page of zeros is there.
        let left = LEFT.swap(0, Ordering::Relaxed);
        if left != 0 {
            good &= read(left) == 0;
            unmap(THERE)?;
        }
    }
    // Four faults: the first one was answered without a page.
    good &= BROUGHT.load(Ordering::Relaxed) == 4;
    let arguments = [HERE + 5 * PAGE + 64, TEXT.len() as u64, 0, 0, 0, 0];
    // SAFETY: the kernel reads text, which the pager brings.
    good &= unsafe { system::raw(PRINT, arguments) } == Ok(TEXT.len() as u64);
    good &= BROUGHT.load(Ordering::Relaxed) == 5;
    ipc::call_word(endpoint, 0, 0)?;
    unmap(HERE)?;
    process::kill(thread)?;
    for handle in [thread, badged, region, endpoint] {
        handle.close()?;
    }
    Ok(good)
}

/// A process that uses its quota up meets an error: for pages, lists and page tables.
fn quota() -> Result<bool, Error> {
    let space = process::create(20, Handle::NONE, 0, "poor")?;
    let region = process::region(10, space)?;
    let mut good = process::region(10, space) == Err(Error::QuotaExceeded);
    let spent = process::usage(space)?;
    // The root table, ten pages and their list.
    good &= (spent.pages, spent.tables) == (12, 2);
    process::map_into(space, region, HERE, MAP_READ)?;
    process::map_into(space, region, HERE + (PAGE << 9), MAP_READ)?;
    let full = process::map_into(space, region, THERE, MAP_READ);
    process::map_into(space, region, HERE + (PAGE << 10), MAP_READ)?;
    good &= full == Ok(());
    good &= process::usage(space)?.pages == 20;
    let over = process::map_into(space, region, HERE + 3 * (PAGE << 9), MAP_READ);
    good &= over == Err(Error::QuotaExceeded);
    good &= process::usage(space)?.pages == 20;
    region.close()?;
    space.close()?;
    Ok(good)
}

/// Pages that the process of a program of the bundle costs before its own. Errors: those of the calls.
pub fn cost(bundle: &Bundle<'_>) -> Result<u64, Error> {
    let space = process::create(64, Handle::NONE, 0, "weighed")?;
    let file = bundle.file(1).ok_or(Error::BadArgument)?;
    loader::load(space, file)?;
    let state = process::region(1, space)?;
    process::map_into(space, state, tessera_handoff::layout::STATE_BASE, MAP_WRITE)?;
    let usage = process::usage(space)?;
    state.close()?;
    process::kill(space)?;
    space.close()?;
    Ok(usage.tables)
}
