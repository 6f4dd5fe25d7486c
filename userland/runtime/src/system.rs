//! What this system is, and leaving it.
#![allow(unsafe_code)] // passes the address of a structure that lives through the call

use crate::call::call;
use tessera_abi::error::Error;
use tessera_abi::info::SystemInfo;
use tessera_abi::number;

/// What this process runs on. Errors: none for a valid buffer, which this is.
pub fn info() -> Result<SystemInfo, Error> {
    let mut info = SystemInfo::default();
    let len = size_of::<SystemInfo>() as u64;
    // SAFETY: the kernel writes at most `len` bytes of plain numbers.
    unsafe { call(number::INFO, &raw mut info as u64, len) }?;
    Ok(info)
}

/// What the kernel says to a buffer that is not this process' (for tests of the kernel).
pub fn info_into(address: u64, len: u64) -> Result<u64, Error> {
    // SAFETY: the kernel must refuse every address that is not mapped writable for this
    // process; the only writable pages are the stack and data, which callers do not name.
    unsafe { call(number::INFO, address, len) }
}

/// What the kernel says to text that is not this process'.
pub fn print_from(address: u64, len: u64) -> Result<u64, Error> {
    // SAFETY: the kernel only reads.
    unsafe { call(number::PRINT, address, len) }
}

/// What the kernel says to a call that does not exist.
pub fn unknown(number: u64) -> Result<u64, Error> {
    // SAFETY: no addresses.
    unsafe { call(number, 0, 0) }
}

/// Ends this process.
pub fn exit(code: u64) -> ! {
    loop {
        // SAFETY: no addresses. The kernel does not return from this call.
        let _never = unsafe { call(number::EXIT, code, 0) };
    }
}
