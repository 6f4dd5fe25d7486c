//! The `syscall` instruction.
#![allow(unsafe_code)] // the instruction itself

use core::arch::asm;
use tessera_abi::error::Error;

/// A system call without a message. Errors: as the call documents.
///
/// # Safety
/// Addresses among the arguments are valid for what the call does with them; the call maps, unmaps
/// and starts nothing that breaks this program's own memory.
pub unsafe fn call(rax: u64, arguments: [u64; 6]) -> Result<u64, Error> {
    let [a, b, c, d, e, f] = arguments;
    let result;
    // SAFETY: the kernel preserves everything but RAX, RCX and R11; memory is the caller's word.
    unsafe {
        asm!("syscall", inout("rax") rax => result, in("rdi") a, in("rsi") b, in("rdx") c,
            in("r10") d, in("r8") e, in("r9") f, out("rcx") _, out("r11") _, options(nostack));
    }
    Error::result(result)
}

/// A call without addresses, whose effect on this program is only its result.
pub(crate) fn plain(number: u64, a: u64, b: u64, c: u64) -> Result<u64, Error> {
    // SAFETY: no addresses; callers name calls that do not touch this program's memory.
    unsafe { call(number, [a, b, c, 0, 0, 0]) }
}

/// A call without arguments, whose effect on this program is only its result, which is 0.
#[inline(always)]
pub(crate) fn bare(number: u64) {
    // SAFETY: the kernel preserves everything but RAX, RCX and R11.
    unsafe {
        asm!("syscall", inout("rax") number => _, out("rcx") _, out("r11") _,
            options(nostack));
    }
}
