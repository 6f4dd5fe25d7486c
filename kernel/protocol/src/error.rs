//! Why a protocol step failed, and whose fault it is.

/// Failure of a protocol step.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Error {
    /// The host broke the protocol or refused.
    Host(HostFault),
    /// The TDX module or the processor refused what this guest asked for: the guest's mistake
    /// (or a host that withholds the resource). TDCALL status, or PVALIDATE/RMPADJUST EAX.
    Platform {
        /// Which operation.
        operation: &'static str,
        /// Its status.
        status: u64,
    },
    /// This guest asked for something that the protocol cannot carry.
    Guest(GuestFault),
}

/// What the host did wrong.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum HostFault {
    /// GHCB MSR: the answer belongs to another request, or reserved bits are set.
    MsrResponse(u64),
    /// GHCB protocol version 2 is outside the range that the host offers.
    Version {
        /// Lowest.
        min: u16,
        /// Highest.
        max: u16,
    },
    /// The host reports another C-bit than the processor.
    CBit(u8),
    /// The GHCB was registered at another address, or not.
    Registration(u64),
    /// A request was refused with this code (SW_EXITINFO1/2, R10, or an error field).
    Refused {
        /// The request: exit code, sub-function or GHCB MSR info.
        request: u64,
        /// The code.
        code: u64,
    },
    /// A register that the answer needs is not marked valid.
    MissingRegister(u64),
    /// A value has bits outside the size that was asked for, or an address outside its range.
    OutOfRange {
        /// The request.
        request: u64,
        /// The value.
        value: u64,
    },
    /// Progress went backwards, past the end, or did not happen in the bounded number of calls.
    NoProgress {
        /// The request.
        request: u64,
    },
    /// The host asks the guest to raise this exception (vector); #GP and #UD only.
    Inject(u8),
    /// Hyper-V status code.
    HvStatus(u16),
    /// A page was validated already: the host mapped one page twice.
    DoubleValidation(u64),
    /// The response to a guest message is not the security processor's to this request.
    Message(MessageFault),
}

/// What is wrong with a response to a guest message.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum MessageFault {
    /// Not the sequence number of the request plus one: an old or a foreign response.
    Sequence(u64),
    /// Algorithm, header version, header size or key number.
    Header,
    /// Not the type of the request plus one, or an unknown version of it.
    Type(u8),
    /// Payload size.
    Size(u16),
    /// The tag does not fit: somebody without the key wrote or changed it.
    Tag,
}

/// What this guest did wrong.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum GuestFault {
    /// Address not aligned or outside the format.
    BadAddress(u64),
    /// More than fits in one request, or a size that does not exist.
    BadLength(usize),
    /// String port I/O (INS, OUTS).
    StringIo,
    /// A value that has no encoding in the request.
    BadValue(u64),
    /// A guest message after an exchange that failed, or with a key that is wiped: the sequence
    /// number could be used twice, so the key is not used any more.
    ChannelClosed,
}

impl Error {
    /// The party at fault: `host`, `guest` or `platform`.
    pub const fn guilty(self) -> &'static str {
        match self {
            Error::Host(_) => "host",
            Error::Platform { .. } => "platform",
            Error::Guest(_) => "guest",
        }
    }
}

/// Shorthand.
pub type Result<T> = core::result::Result<T, Error>;

pub(crate) const fn host<T>(fault: HostFault) -> Result<T> {
    Err(Error::Host(fault))
}

pub(crate) const fn guest<T>(fault: GuestFault) -> Result<T> {
    Err(Error::Guest(fault))
}
