//! Errors of system calls, as negative numbers in RAX.

/// Why a system call failed. The caller is at fault unless the line says otherwise.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(i64)]
pub enum Error {
    /// No such call, or bits in RAX that the call does not take.
    UnknownCall = -1,
    /// The address range is not the caller's, not mapped, or not accessible as needed.
    BadAddress = -2,
    /// Longer than the call takes.
    TooLong = -3,
    /// Buffer too short for the result.
    TooShort = -4,
    /// No such handle in the caller's table, or its object is gone or was revoked.
    BadHandle = -5,
    /// The handle is of another kind than the call takes.
    WrongKind = -6,
    /// The handle lacks a right that the call needs.
    NoRight = -7,
    /// A handle table has no free slot (the caller's, or the receiver's of a message).
    TableFull = -8,
    /// The quota of the address space that pays is used up.
    QuotaExceeded = -9,
    /// Nothing happened within the timeout.
    TimedOut = -10,
    /// Somebody with the right to do so ended the wait.
    Cancelled = -11,
    /// The other side went away before it answered: its fault, the call may be repeated.
    PeerDied = -12,
    /// An argument that no state of the system makes valid.
    BadArgument = -13,
    /// This system has nothing to make such an object of: no IOAPIC that the host claims, or a mode
    /// without a way to such a device.
    NotCreatable = -14,
    /// No caller waits for a reply of this thread.
    NoCaller = -15,
    /// Somebody else waits there already, or it is bound already.
    Busy = -16,
    /// Something is mapped there already.
    AlreadyMapped = -17,
    /// The system has no free slot or frame: nobody's fault, the call may be repeated.
    OutOfMemory = -18,
    /// The host did not do what it was asked, or answered what it cannot: the host's fault.
    HostRefused = -19,
    /// Nobody signs anything in this mode.
    Unattested = -20,
}

impl Error {
    /// Every error, at index `-number - 1`.
    pub const ALL: [Error; 20] = [
        Error::UnknownCall,
        Error::BadAddress,
        Error::TooLong,
        Error::TooShort,
        Error::BadHandle,
        Error::WrongKind,
        Error::NoRight,
        Error::TableFull,
        Error::QuotaExceeded,
        Error::TimedOut,
        Error::Cancelled,
        Error::PeerDied,
        Error::BadArgument,
        Error::NotCreatable,
        Error::NoCaller,
        Error::Busy,
        Error::AlreadyMapped,
        Error::OutOfMemory,
        Error::HostRefused,
        Error::Unattested,
    ];

    /// As RAX shows it.
    pub const fn number(self) -> u64 {
        self as i64 as u64
    }

    /// The result that RAX holds: a value, or an error. A negative number that is no error's
    /// counts as `UnknownCall`.
    pub fn result(rax: u64) -> Result<u64, Error> {
        match rax as i64 {
            0.. => Ok(rax),
            number => {
                let index = usize::try_from(-1 - number).unwrap_or(usize::MAX);
                Err(*Self::ALL.get(index).unwrap_or(&Error::UnknownCall))
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_and_results_agree() {
        for (index, error) in Error::ALL.iter().enumerate() {
            assert_eq!(*error as i64, -1 - index as i64);
            assert_eq!(Error::result(error.number()), Err(*error));
        }
        assert_eq!(Error::result(7), Ok(7));
        assert_eq!(Error::result(i64::MIN as u64), Err(Error::UnknownCall));
    }
}
