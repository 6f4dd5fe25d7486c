//! Errors of system calls, as negative numbers in RAX.

/// Why a system call failed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(i64)]
pub enum Error {
    /// No such call.
    UnknownCall = -1,
    /// The address range is not the caller's, not mapped, or not accessible as needed.
    BadAddress = -2,
    /// Longer than the call takes.
    TooLong = -3,
    /// Buffer too short for the result.
    TooShort = -4,
}
