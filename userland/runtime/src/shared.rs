//! Memory that the host sees and may change at any time: what drivers bounce their data through.
#![allow(unsafe_code)] // volatile access to memory that Rust must not own

use crate::call::{call, plain};
use crate::device::Untrusted;
use crate::handle::Handle;
use crate::process;
use tessera_abi::kind::Kind;
use tessera_abi::{error::Error, number};

const PAGE: u64 = 4096;
const WORD: u64 = size_of::<u64>() as u64;

/// A shared region that `owner` pays for (`Handle::NONE`: this process). First process only.
/// Errors: `number::CREATE`.
pub fn region(pages: u64, owner: Handle) -> Result<Handle, Error> {
    let (kind, owner) = (Kind::Region as u64, owner.number().into());
    // SAFETY: no addresses.
    unsafe {
        call(
            number::CREATE,
            [kind, pages, owner, number::REGION_SHARED, 0, 0],
        )
    }
    .map(|number| Handle::from_number(number as u32))
}

/// Where the host finds a page of a shared region. Errors: `number::HOST_ADDRESS`.
pub fn host_address(region: Handle, page: u64) -> Result<u64, Error> {
    plain(number::HOST_ADDRESS, region.number().into(), page, 0)
}

/// A shared region that is mapped here. No reference into it is ever made: every access is one volatile
/// access of a byte or an aligned word, so that each value is fetched once, and what was copied out is
/// nobody's but the caller's. What is written are bytes that the caller names, without any padding.
#[derive(Debug)]
pub struct Shared {
    at: u64,
    pages: u64,
    region: Handle,
}

impl Shared {
    /// Maps all of a shared region of `pages` pages, whose last page is there from then on. Errors:
    /// `BadArgument` for a region that is not shared or is smaller, and those of `number::MAP`.
    pub fn map(region: Handle, address: u64, pages: u64) -> Result<Self, Error> {
        host_address(region, pages.checked_sub(1).ok_or(Error::BadArgument)?)?;
        // SAFETY: the kernel maps over nothing, and what is there is only touched by this value.
        unsafe { process::map(region, address, number::MAP_WRITE) }?;
        Ok(Self {
            at: address,
            pages,
            region,
        })
    }

    /// Where the host finds a page of it. Errors: `number::HOST_ADDRESS`.
    pub fn host_address(&self, page: u64) -> Result<u64, Error> {
        host_address(self.region, page)
    }

    /// Copies out of it. Errors: `BadArgument` outside.
    pub fn read(&self, offset: u64, into: &mut [u8]) -> Result<(), Error> {
        let mut at = self.place(offset, into.len() as u64, 1)?;
        let (head, words, tail) = parts(at, into);
        for byte in head {
            *byte = byte_at(&mut at);
        }
        for word in words {
            // SAFETY: `place` and `parts`: in the mapping, aligned.
            *word = unsafe { (at as *const u64).read_volatile() }.to_le_bytes();
            at += WORD;
        }
        for byte in tail {
            *byte = byte_at(&mut at);
        }
        Ok(())
    }

    /// Copies into it. Errors: `BadArgument` outside.
    pub fn write(&mut self, offset: u64, from: &[u8]) -> Result<(), Error> {
        let at = self.place(offset, from.len() as u64, 1)?;
        for (at, byte) in (at..).zip(from) {
            // SAFETY: `place`: in the mapping.
            unsafe { (at as *mut u8).write_volatile(*byte) }
        }
        Ok(())
    }

    /// The little-endian word at a multiple of 8, fetched once. Errors: `BadArgument` elsewhere.
    pub fn word(&self, offset: u64) -> Result<Untrusted<u64>, Error> {
        let at = self.place(offset, WORD, WORD)?;
        // SAFETY: `place`: in the mapping, aligned.
        Ok(Untrusted::new(unsafe {
            (at as *const u64).read_volatile()
        }))
    }

    /// Writes the word at a multiple of 8, at once. Errors: `BadArgument` elsewhere.
    pub fn set_word(&mut self, offset: u64, value: u64) -> Result<(), Error> {
        let at = self.place(offset, WORD, WORD)?;
        // SAFETY: as in `word`.
        unsafe { (at as *mut u64).write_volatile(value) }
        Ok(())
    }

    fn place(&self, offset: u64, len: u64, align: u64) -> Result<u64, Error> {
        let end = offset.checked_add(len).ok_or(Error::BadArgument)?;
        match end <= self.pages * PAGE && offset.is_multiple_of(align) {
            true => Ok(self.at + offset),
            false => Err(Error::BadArgument),
        }
    }
}

impl Drop for Shared {
    /// The region goes away with its last handle, too.
    fn drop(&mut self) {
        // SAFETY: nobody else touches the mapping.
        let _there = unsafe { process::unmap(self.at) };
    }
}

/// The bytes of a buffer up to the first multiple of 8 from `at` on, then words, then what is left.
fn parts(at: u64, buffer: &mut [u8]) -> (&mut [u8], &mut [[u8; 8]], &mut [u8]) {
    let before = (at.next_multiple_of(WORD) - at).min(buffer.len() as u64);
    let (head, rest) = buffer.split_at_mut(before as usize);
    let (words, tail) = rest.as_chunks_mut();
    (head, words, tail)
}

/// The byte at an address that `Shared::place` gave, which goes on.
fn byte_at(at: &mut u64) -> u8 {
    // SAFETY: in the mapping, as the only caller sees to it.
    let byte = unsafe { (*at as *const u8).read_volatile() };
    *at += 1;
    byte
}
