//! What a check is, and the handles that checks try things on.
#![allow(unsafe_code)] // calls that the kernel must refuse, with any arguments

use core::fmt::Write;
use tessera_abi::error::Error;
use tessera_abi::number::POLL;
use tessera_abi::{kind::Kind, rights};
use tessera_runtime::console::Console;
use tessera_runtime::handle::Handle;
use tessera_runtime::{process, system};

/// An address of the kernel's half.
pub const KERNEL: u64 = 0xFFFF_FFFF_8000_0000;
/// The last page of the user's half, which stays free.
pub const EDGE: u64 = 0x7FFF_FFFF_F000;
pub const POLLING: u64 = (POLL as u64) << 32;
/// An address where nothing is mapped.
pub const FREE: u64 = 0x20_0000_0000;
/// A number that is no handle of this process.
pub const OTHERS: u64 = 40;

pub const ENDPOINT: u64 = Kind::Endpoint as u64;
pub const REGION: u64 = Kind::Region as u64;
pub const SPACE: u64 = Kind::AddressSpace as u64;
pub const THREAD: u64 = Kind::Thread as u64;

pub type Check = (&'static str, u64, [u64; 6], Error);

/// One call that must fail in one way.
pub const fn check(name: &'static str, rax: u64, arguments: &[u64], error: Error) -> Check {
    let mut all = [0; 6];
    let mut n = 0;
    while n < arguments.len() {
        all[n] = arguments[n];
        n += 1;
    }
    (name, rax, all, error)
}

/// Handles to try things on.
pub struct Objects {
    pub endpoint: u64,
    pub notification: u64,
    pub region: u64,
    pub space: u64,
    /// Copies without any right.
    pub powerless: [u64; 4],
    pub badged: u64,
    pub closed: u64,
}

impl Objects {
    pub fn new() -> Result<Self, Error> {
        let endpoint = Handle::endpoint()?;
        let notification = Handle::notification()?;
        let region = process::region(1, Handle::NONE)?;
        let space = process::create(1, Handle::NONE, 0, "nobody")?;
        let number = |handle: Handle| u64::from(handle.number());
        let powerless = |handle: Handle| handle.duplicate(0, 0).map(number);
        let closed = Handle::endpoint()?;
        closed.close()?;
        Ok(Self {
            endpoint: number(endpoint),
            notification: number(notification),
            region: number(region),
            space: number(space),
            powerless: [
                powerless(endpoint)?,
                powerless(notification)?,
                powerless(region)?,
                powerless(space)?,
            ],
            badged: number(endpoint.duplicate(rights::ALL, 5)?),
            closed: number(closed),
        })
    }

    /// Closes everything. Errors: what could not be closed.
    pub fn drop_all(self) -> Result<(), Error> {
        let own = [
            self.endpoint,
            self.notification,
            self.region,
            self.space,
            self.badged,
        ];
        own.iter()
            .chain(&self.powerless)
            .try_for_each(|handle| Handle::from_number(*handle as u32).close())
    }
}

/// Makes each call; how many failed to fail as they must.
pub fn report(checks: &[Check]) -> u64 {
    let wrong = |(name, rax, arguments, error): &&Check| {
        // SAFETY: the kernel must refuse each of these calls.
        let result = unsafe { system::raw(*rax, *arguments) };
        if result != Err(*error) {
            let _unwritable = writeln!(Console, "init: check failed: {name}: {result:?}");
        }
        result != Err(*error)
    };
    checks.iter().filter(wrong).count() as u64
}
