//! Memory that the host sees: what it writes is read, what it must not see any more is its own no longer.
//! Where the test host's device is there, the host itself is asked.
#![allow(unsafe_code)] // maps regions at places of its own, passes their addresses to calls

use crate::threads::Test;
use core::fmt::Write;
use tessera_abi::error::Error;
use tessera_abi::info::SystemInfo;
use tessera_abi::number::{
    CHANNEL_PORT, INFO, MAP_EXECUTE, MAP_READ, MAP_WRITE, PRINT, SHARED_PAGES,
};
use tessera_defs::mode::Mode;
use tessera_defs::port::TEST_MEMORY;
use tessera_runtime::console::Console;
use tessera_runtime::device::Channel;
use tessera_runtime::handle::Handle;
use tessera_runtime::shared::{self, Shared};
use tessera_runtime::{process, system};

const PAGE: u64 = 4096;
const HERE: u64 = 0x0000_4A00_0000_0000;
const THERE: u64 = 0x0000_4B00_0000_0000;
const INFO_LEN: u64 = size_of::<SystemInfo>() as u64;
const PATTERN: u64 = 0x7465_7373_6572_6121;

/// Runs every test; how many failed.
pub fn run() -> u64 {
    let tests: [(&str, Test); 4] = [
        ("a shared region", region),
        ("what the host sees", seen),
        ("a call's buffers in shared memory", buffers),
        ("shared regions of a process that ends", ended),
    ];
    let mut failed = 0;
    for (name, test) in tests {
        let before = left();
        let result = test();
        if result != Ok(true) || left() != before {
            let _unwritable = writeln!(Console, "init: check failed: {name}: {result:?}");
            failed += 1;
        }
    }
    failed
}

/// What a test must give back.
fn left() -> Result<(u64, u64, u32), Error> {
    let usage = process::usage(Handle::NONE)?;
    Ok((system::info()?.pages_shared, usage.pages, usage.handles))
}

fn map(region: Handle, address: u64, access: u64) -> Result<(), Error> {
    // SAFETY: the places are these tests' own.
    unsafe { process::map(region, address, access) }
}

fn unmap(address: u64) -> Result<(), Error> {
    // SAFETY: the tests touch it no more.
    unsafe { process::unmap(address) }
}

fn pages_shared() -> Result<u64, Error> {
    Ok(system::info()?.pages_shared)
}

/// Pages come when they are touched, as zeros, or when somebody asks where they are; they are paid for at once, and
/// never executed or copied from.
fn region() -> Result<bool, Error> {
    let none = pages_shared()?;
    let charged = process::usage(Handle::NONE)?.pages;
    let region = shared::region(3, Handle::NONE)?;
    let mut good = process::usage(Handle::NONE)?.pages == charged + 3 && pages_shared()? == none;
    good &= shared::region(SHARED_PAGES + 1, Handle::NONE) == Err(Error::BadArgument);
    good &= map(region, HERE, MAP_EXECUTE) == Err(Error::BadArgument);
    good &= process::region_of(3, Handle::NONE, region) == Err(Error::BadArgument);
    good &= shared::host_address(region, 3) == Err(Error::BadArgument);
    let private = process::region(1, Handle::NONE)?;
    good &= shared::host_address(private, 0) == Err(Error::BadArgument);
    good &= Shared::map(private, HERE, 1).map(drop) == Err(Error::BadArgument);
    good &= Shared::map(region, HERE, 4).map(drop) == Err(Error::BadArgument);
    private.close()?;
    let mut memory = Shared::map(region, HERE, 3)?;
    good &= pages_shared()? == none + 1;
    map(region, THERE, MAP_READ)?;
    let mut bytes = [7; 21];
    memory.read(PAGE - 3, &mut bytes)?;
    good &= bytes == [0; 21];
    memory.write(PAGE - 3, b"from here to the host")?;
    memory.read(PAGE - 3, &mut bytes)?;
    good &= bytes == *b"from here to the host" && pages_shared()? == none + 3;
    let addresses = [0, 1, 2].map(|page| memory.host_address(page));
    good &= addresses
        .iter()
        .all(|at| matches!(at, Ok(at) if *at != 0 && at % PAGE == 0));
    good &= addresses[0] != addresses[1] && addresses[1] != addresses[2];
    good &= memory.word(3 * PAGE) == Err(Error::BadArgument);
    good &= memory.word(1) == Err(Error::BadArgument);
    good &= memory.read(3 * PAGE - 20, &mut bytes) == Err(Error::BadArgument);
    // The first mapping goes; the second one keeps the pages.
    drop(memory);
    good &= pages_shared()? == none + 3;
    unmap(THERE)?;
    region.close()?;
    Ok(good && pages_shared()? == none)
}

/// Whether the host says that it did what it was asked to: it reads the first word of a page, and writes
/// its complement behind it. `None`: there is no such device.
fn asks_host(device: Channel, address: u64) -> Result<Option<bool>, Error> {
    device.write(0, 4, (address / PAGE) as u32)?;
    let answer = device.read(0, 4)?.any();
    Ok((answer <= 1).then_some(answer == 1))
}

/// The host reads and writes what is shared, from when it is until it is not.
fn seen() -> Result<bool, Error> {
    let isolated = system::info()?.mode != Mode::None as u32;
    let device = Channel::new(CHANNEL_PORT, TEST_MEMORY.into(), 4)?;
    let region = shared::region(2, Handle::NONE)?;
    let mut memory = Shared::map(region, HERE, 2)?;
    let mut good = true;
    let mut asked = false;
    for page in 0..2 {
        let value = PATTERN.rotate_left(page as u32 * 8);
        memory.set_word(page * PAGE, value)?;
        let did = asks_host(device, memory.host_address(page)?)?;
        let answer = memory.word(page * PAGE + 8)?.any();
        good &= match did {
            None => answer == 0,
            Some(did) => did && answer == !value,
        };
        asked |= did.is_some();
    }
    let address = memory.host_address(0)?;
    drop(memory);
    region.close()?;
    // On a plain machine the host sees all; what it wrote there now would be somebody else's.
    if asked && isolated {
        good &= asks_host(device, address)? == Some(false);
    }
    device.0.close()?;
    if asked && good {
        let _unwritable = writeln!(Console, "init: the host sees what is shared");
    }
    Ok(good)
}

/// The kernel takes what a call names from shared memory, once, and puts it there, too.
fn buffers() -> Result<bool, Error> {
    let region = shared::region(2, Handle::NONE)?;
    let mut memory = Shared::map(region, HERE, 2)?;
    let text = b"init: printed from shared memory\n";
    memory.write(PAGE - 5, text)?;
    let (at, end) = (HERE + PAGE - 5, HERE + 2 * PAGE);
    // SAFETY: in the region, in which no Rust object stands.
    let (printed, written) = unsafe {
        let printed = system::raw(PRINT, [at, text.len() as u64, 0, 0, 0, 0]);
        (
            printed,
            system::raw(INFO, [end - INFO_LEN, INFO_LEN, 0, 0, 0, 0]),
        )
    };
    let total = memory.word(2 * PAGE - INFO_LEN + 8)?.any();
    drop(memory);
    region.close()?;
    let all = system::info()?.pages_total;
    Ok(printed == Ok(text.len() as u64) && written == Ok(INFO_LEN) && total == all)
}

/// Another process pays for them; with its end they are private again, unless somebody still has them mapped.
fn ended() -> Result<bool, Error> {
    let none = pages_shared()?;
    let space = process::create(16, Handle::NONE, 0, "shares")?;
    let region = shared::region(4, space)?;
    process::map_into(space, region, THERE, MAP_WRITE)?;
    let mut memory = Shared::map(region, HERE, 4)?;
    memory.set_word(0, 5)?;
    process::kill(space)?;
    space.close()?;
    let mut good = memory.host_address(0) == Err(Error::BadHandle);
    region.close()?;
    good &= memory.word(0)?.any() == 5 && pages_shared()? == none + 2;
    drop(memory);
    Ok(good && pages_shared()? == none)
}

/// Shares pages and takes them back, for a host that begins to lie before that or in between: whether all
/// went well.
pub fn round_trip(first: bool, begin: impl Fn() -> Result<(), Error>) -> Result<bool, Error> {
    let none = pages_shared()?;
    if first {
        begin()?;
    }
    let region = shared::region(8, Handle::NONE)?;
    let mut memory = Shared::map(region, HERE, 8)?;
    for page in 0..8 {
        memory.set_word(page * PAGE, page)?;
    }
    if !first {
        begin()?;
    }
    drop(memory);
    region.close()?;
    Ok(pages_shared()? == none)
}
