//! Regions, threads and other processes.
#![allow(unsafe_code)] // maps memory, starts threads

use crate::call::{call, plain};
use crate::handle::Handle;
use tessera_abi::info::Usage;
use tessera_abi::kind::Kind;
use tessera_abi::{error::Error, number};

fn handle(number: u64) -> Handle {
    Handle::from_number(number as u32)
}

/// A process of `quota` pages; `watcher` gets `bits` when it ends. Of its name, which stands before the
/// lines that it prints, the first 16 bytes count. Errors: `number::CREATE`.
pub fn create(quota: u64, watcher: Handle, bits: u64, name: &str) -> Result<Handle, Error> {
    let kind = Kind::AddressSpace as u64;
    let mut words = [[0; 8]; 2];
    let bytes = words.as_flattened_mut();
    let len = name.len().min(bytes.len());
    bytes[..len].copy_from_slice(&name.as_bytes()[..len]);
    let [low, high] = words.map(u64::from_le_bytes);
    // SAFETY: no addresses.
    unsafe {
        call(
            number::CREATE,
            [kind, quota, watcher.number().into(), bits, low, high],
        )
    }
    .map(handle)
}

/// A region of zeros that `owner` pays for (`Handle::NONE`: this process). Errors:
/// `number::CREATE`.
pub fn region(pages: u64, owner: Handle) -> Result<Handle, Error> {
    plain(
        number::CREATE,
        Kind::Region as u64,
        pages,
        owner.number().into(),
    )
    .map(handle)
}

/// A region whose untouched pages are `origin`'s: those of a region (a private copy), or what the
/// pager behind an endpoint brings. Errors: `number::CREATE`.
pub fn region_of(pages: u64, owner: Handle, origin: Handle) -> Result<Handle, Error> {
    let (kind, owner, origin) = (
        Kind::Region as u64,
        owner.number().into(),
        origin.number().into(),
    );
    // SAFETY: no addresses.
    unsafe { call(number::CREATE, [kind, pages, owner, origin, 0, 0]) }.map(handle)
}

/// Sees to it that nothing is ever mapped in `pages` pages of a process (`Handle::NONE`: this one).
/// Errors: `number::MAP`.
pub fn guard(space: Handle, address: u64, pages: u64) -> Result<(), Error> {
    let space = space.number().into();
    // SAFETY: nothing is mapped.
    unsafe {
        call(
            number::MAP,
            [space, 0, address, number::MAP_GUARD, pages, 0],
        )
    }
    .map(|_| ())
}

/// Maps a region in another process. Errors: `number::MAP`.
pub fn map_into(space: Handle, region: Handle, address: u64, access: u64) -> Result<(), Error> {
    assert!(space != Handle::NONE, "another process");
    let (space, region) = (space.number().into(), region.number().into());
    // SAFETY: not this process' memory (a handle to itself is not made by this crate).
    unsafe { call(number::MAP, [space, region, address, access, 0, 0]) }.map(|_| ())
}

/// Maps a region here. Errors: `number::MAP`.
///
/// # Safety
/// Whoever else has the region writes nothing to it that this program relies on, and `address` is
/// in nobody's way (the kernel refuses to map over what is mapped).
pub unsafe fn map(region: Handle, address: u64, access: u64) -> Result<(), Error> {
    // SAFETY: the caller's promise.
    unsafe {
        call(
            number::MAP,
            [0, region.number().into(), address, access, 0, 0],
        )
    }
    .map(|_| ())
}

/// Takes a mapping away. Errors: `number::UNMAP`.
///
/// # Safety
/// Nothing uses that memory any more.
pub unsafe fn unmap(address: u64) -> Result<(), Error> {
    // SAFETY: the caller's promise.
    unsafe { call(number::UNMAP, [0, address, 0, 0, 0, 0]) }.map(|_| ())
}

/// Starts a thread in another process. Errors: `number::CREATE`.
pub fn start(
    space: Handle,
    entry: u64,
    stack: u64,
    priority: u8,
    argument: u64,
) -> Result<Handle, Error> {
    assert!(space != Handle::NONE, "another process");
    let (kind, space) = (Kind::Thread as u64, space.number().into());
    // SAFETY: it runs on another process' memory.
    unsafe {
        call(
            number::CREATE,
            [kind, space, entry, stack, priority.into(), argument],
        )
    }
    .map(handle)
}

/// Starts a thread here. Errors: `number::CREATE`.
///
/// # Safety
/// `stack` is the top of memory that is nothing else's for as long as the thread runs, and it
/// never returns from `entry`.
pub unsafe fn start_here(
    entry: extern "sysv64" fn(u64) -> !,
    stack: u64,
    priority: u8,
    argument: u64,
) -> Result<Handle, Error> {
    let (kind, entry) = (Kind::Thread as u64, entry as *const () as u64);
    // As after a CALL: 8 below a multiple of 16.
    let stack = stack - 8;
    // SAFETY: the caller's promise.
    unsafe {
        call(
            number::CREATE,
            [kind, 0, entry, stack, priority.into(), argument],
        )
    }
    .map(handle)
}

/// Puts a copy of a handle into a process' table; its number there. Errors: `number::GIVE`.
pub fn give(space: Handle, what: Handle, rights: u8, badge: u64) -> Result<Handle, Error> {
    let (space, what) = (space.number().into(), what.number().into());
    // SAFETY: no addresses.
    unsafe { call(number::GIVE, [space, what, rights.into(), badge, 0, 0]) }.map(handle)
}

/// Ends a process or a thread. Errors: `number::KILL`.
pub fn kill(what: Handle) -> Result<(), Error> {
    plain(number::KILL, what.number().into(), 0, 0).map(|_| ())
}

/// How a process is: `number::STATUS_*`. Errors: `number::STATUS`.
pub fn status(space: Handle) -> Result<u64, Error> {
    plain(number::STATUS, space.number().into(), 0, 0)
}

/// What a process uses (`Handle::NONE`: this one). Errors: `number::USAGE`.
pub fn usage(space: Handle) -> Result<Usage, Error> {
    let mut usage = Usage::default();
    let (at, len) = (&raw mut usage as u64, size_of::<Usage>() as u64);
    // SAFETY: the kernel writes plain numbers of that length.
    unsafe { call(number::USAGE, [space.number().into(), at, len, 0, 0, 0]) }?;
    Ok(usage)
}
