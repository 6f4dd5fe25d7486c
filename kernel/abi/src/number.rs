//! System-call numbers.

/// `exit(code: u64) -> !`: ends the process; the kernel shuts down when the first one exits.
pub const EXIT: u64 = 0;
/// `print(ptr: *const u8, len: usize) -> usize`: writes UTF-8 text to the console; at most
/// `PRINT_MAX` bytes. Errors: `BadAddress`, `TooLong`.
pub const PRINT: u64 = 1;
/// `info(ptr: *mut SystemInfo, len: usize) -> usize`: what this system runs on; bytes written.
/// Errors: `BadAddress`, `TooShort`.
pub const INFO: u64 = 2;
/// Bytes that `PRINT` takes at most.
pub const PRINT_MAX: usize = 1024;
