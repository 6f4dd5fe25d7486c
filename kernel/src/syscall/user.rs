//! Bytes to and from the running process.

use crate::cpu::Kernel;
use crate::{spaces, windows};
use tessera_abi::error::Error;

/// Copies from the process. Errors: `BadAddress`.
pub fn read(kernel: &mut Kernel, virt: u64, into: &mut [u8]) -> Result<(), Error> {
    let tables = tables(kernel);
    if !spaces::user_range(tables, virt, into.len() as u64, false) {
        return Err(Error::BadAddress);
    }
    windows::copy_from_user(virt, into);
    Ok(())
}

/// Copies all of `from` to a buffer of `len` bytes; how many. Errors: `TooShort`, `BadAddress`.
pub fn write(kernel: &mut Kernel, virt: u64, len: u64, from: &[u8]) -> Result<u64, Error> {
    let wanted = from.len() as u64;
    if len < wanted {
        return Err(Error::TooShort);
    }
    if !spaces::user_range(tables(kernel), virt, wanted, true) {
        return Err(Error::BadAddress);
    }
    windows::copy_to_user(virt, from);
    Ok(wanted)
}

/// Whether the process may have `len` bytes written there. Errors: `BadAddress`.
pub fn check(kernel: &mut Kernel, virt: u64, len: u64) -> Result<(), Error> {
    let good = spaces::user_range(tables(kernel), virt, len, true);
    good.then_some(()).ok_or(Error::BadAddress)
}

fn tables(kernel: &mut Kernel) -> u64 {
    let me = kernel.system.current();
    kernel.system.thread(me).tables
}
