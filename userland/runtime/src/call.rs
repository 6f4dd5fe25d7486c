//! The `syscall` instruction.
#![allow(unsafe_code)] // the instruction itself

use core::arch::asm;
use tessera_abi::error::Error;

/// A system call with up to two arguments. Errors: as the call documents.
///
/// # Safety
/// Addresses among the arguments are valid for what the call does with them.
pub(crate) unsafe fn call(number: u64, first: u64, second: u64) -> Result<u64, Error> {
    let result: i64;
    // SAFETY: the kernel preserves everything but RAX, RCX and R11; memory is the caller's word.
    unsafe {
        asm!("syscall", inout("rax") number => result, in("rdi") first, in("rsi") second,
            out("rcx") _, out("r11") _, options(nostack));
    }
    match result {
        -1 => Err(Error::UnknownCall),
        -2 => Err(Error::BadAddress),
        -3 => Err(Error::TooLong),
        -4 => Err(Error::TooShort),
        value => Ok(value as u64),
    }
}
