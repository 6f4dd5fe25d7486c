//! What this system is, and leaving it.
#![allow(unsafe_code)] // passes the address of a structure that lives through the call

use crate::call::{bare, call, plain};
use tessera_abi::error::Error;
use tessera_abi::info::SystemInfo;
use tessera_abi::number;

/// What this process runs on. Errors: none for a valid buffer, which this is.
pub fn info() -> Result<SystemInfo, Error> {
    let mut info = SystemInfo::default();
    let len = size_of::<SystemInfo>() as u64;
    // SAFETY: the kernel writes at most `len` bytes of plain numbers.
    unsafe { call(number::INFO, [&raw mut info as u64, len, 0, 0, 0, 0]) }?;
    Ok(info)
}

/// Any call with any arguments, to see that bad ones are refused.
///
/// # Safety
/// The call must be one that the kernel has to refuse, or harmless.
pub unsafe fn raw(rax: u64, arguments: [u64; 6]) -> Result<u64, Error> {
    // SAFETY: the caller's promise.
    unsafe { call(rax, arguments) }
}

/// FS base of this thread. Errors: `number::SET_TLS`.
///
/// # Safety
/// What is read through FS from now on stands at `base`.
pub unsafe fn set_tls(base: u64) -> Result<(), Error> {
    // SAFETY: the caller's promise.
    unsafe { call(number::SET_TLS, [base, 0, 0, 0, 0, 0]) }.map(|_| ())
}

/// Does nothing, in the kernel.
#[inline(always)]
pub fn null() {
    bare(number::NULL);
}

/// Ends this process.
pub fn exit(code: u64) -> ! {
    loop {
        let _never = plain(number::EXIT, code, 0, 0);
    }
}
