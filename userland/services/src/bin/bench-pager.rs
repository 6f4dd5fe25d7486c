//! The pager of `tessera bench`: touches pages of its own first, then hands one in for each fault.
#![no_std]
#![no_main]
#![allow(unsafe_code)] // touches pages at a place of its own

use tessera_abi::error::Error;
use tessera_abi::message;
use tessera_abi::number::MAP_WRITE;
use tessera_runtime::handle::Handle;
use tessera_runtime::ipc::{self, Message, Received};
use tessera_runtime::{process, service};

service!(main);

/// Where the pages are while they are this process'.
const POOL: u64 = 0x10_0000_0000;
const PAGES: u64 = 512;

fn main(_: u64) -> u64 {
    u64::from(serve().is_err())
}

/// Errors: those of the calls; there is no other way out.
fn serve() -> Result<(), Error> {
    let region = pool()?;
    let mut first = Message::default();
    let Received::Message(_) = ipc::receive(service::OWN, &mut first, 0)? else {
        return Err(Error::BadArgument);
    };
    // The first message says that all is ready; each one after it is a fault.
    let mut next = ipc::reply_receive_short(service::OWN, 0, [0; 2])?;
    for page in 0..PAGES {
        if message::label(next.tag) != message::FAULT {
            break;
        }
        let words = [region.number().into(), page];
        next = ipc::reply_receive_short(service::OWN, message::FAULT_PAGE, words)?;
    }
    Err(Error::BadArgument)
}

/// Pages that are there.
fn pool() -> Result<Handle, Error> {
    let region = process::region(PAGES, Handle::NONE)?;
    // SAFETY: an address that nothing else of this process uses.
    unsafe {
        process::map(region, POOL, MAP_WRITE)?;
        for page in 0..PAGES {
            ((POOL + page * 4096) as *mut u64).write_volatile(page + 1);
        }
    }
    Ok(region)
}
