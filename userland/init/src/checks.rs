//! System calls with bad arguments: each must return its documented error.

use core::fmt::Write;
use tessera_abi::error::Error;
use tessera_runtime::console::Console;
use tessera_runtime::system;

/// An address of the kernel's half.
const KERNEL: u64 = 0xFFFF_FFFF_8000_0000;

/// Runs every check; how many failed.
pub fn run() -> u64 {
    let text = "x";
    let read_only = text.as_ptr() as u64;
    let checks = [
        ("unknown call", system::unknown(77), Error::UnknownCall),
        (
            "print from null",
            system::print_from(0, 1),
            Error::BadAddress,
        ),
        (
            "print from the kernel",
            system::print_from(KERNEL, 1),
            Error::BadAddress,
        ),
        (
            "print across the end",
            system::print_from(u64::MAX - 1, 8),
            Error::BadAddress,
        ),
        (
            "print too long",
            system::print_from(read_only, 1 << 40),
            Error::TooLong,
        ),
        ("info to null", system::info_into(0, 64), Error::BadAddress),
        (
            "info to the kernel",
            system::info_into(KERNEL, 64),
            Error::BadAddress,
        ),
        (
            "info to read-only memory",
            system::info_into(read_only, 64),
            Error::BadAddress,
        ),
        (
            "info too short",
            system::info_into(read_only, 8),
            Error::TooShort,
        ),
    ];
    let bad = checks
        .iter()
        .filter(|(_, result, wanted)| *result != Err(*wanted));
    bad.map(|(name, result, _)| {
        let _unwritable = writeln!(Console, "init: check failed: {name}: {result:?}");
    })
    .count() as u64
}
