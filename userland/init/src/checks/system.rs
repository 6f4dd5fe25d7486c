//! Calls about the system and about the calling process itself.

use super::check::*;
use tessera_abi::error::Error::*;
use tessera_abi::info::SystemInfo;
use tessera_abi::number::*;

const SYSTEM: u64 = size_of::<SystemInfo>() as u64;

/// How many failed.
pub fn run(text: u64) -> u64 {
    report(&[
        check("unknown call", 77, &[], UnknownCall),
        check("a negative call", u64::MAX, &[], UnknownCall),
        check("null with a timeout", timeout(NULL, 5), &[], UnknownCall),
        check("print from null", PRINT, &[0, 1], BadAddress),
        check("print from the kernel", PRINT, &[KERNEL, 1], BadAddress),
        check(
            "print nothing of the kernel",
            PRINT,
            &[KERNEL, 0],
            BadAddress,
        ),
        check(
            "print across the end",
            PRINT,
            &[u64::MAX - 1, 8],
            BadAddress,
        ),
        check("print of a hole", PRINT, &[FREE + 1, 3], BadAddress),
        check("print too long", PRINT, &[text, 1 << 40], TooLong),
        check("info to null", INFO, &[0, SYSTEM], BadAddress),
        check("info to the kernel", INFO, &[KERNEL, SYSTEM], BadAddress),
        check(
            "info to read-only memory",
            INFO,
            &[text, SYSTEM],
            BadAddress,
        ),
        check("info too short", INFO, &[text, SYSTEM - 8], TooShort),
        check("usage to null", USAGE, &[0, 0, 64], BadAddress),
        check(
            "usage to read-only memory",
            USAGE,
            &[0, text, 64],
            BadAddress,
        ),
        check("usage too short", USAGE, &[0, text, 31], TooShort),
        check("usage of nobody", USAGE, &[OTHERS, text, 64], BadHandle),
        check("TLS in the kernel", SET_TLS, &[KERNEL], BadAddress),
    ])
}
