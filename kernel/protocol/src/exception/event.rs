//! What an exception asks for, without the words of either vendor.

use crate::error::GuestFault;
use crate::insn::Refused;

/// One request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Event {
    /// CPUID: leaf in EAX, sub-leaf in ECX.
    Cpuid,
    /// RDMSR of ECX.
    ReadMsr,
    /// WRMSR of ECX.
    WriteMsr,
    /// IN.
    In {
        /// Port.
        port: u16,
        /// Bytes: 1, 2, 4.
        size: u8,
    },
    /// OUT.
    Out {
        /// Port.
        port: u16,
        /// Bytes: 1, 2, 4.
        size: u8,
    },
    /// HLT.
    Halt,
    /// WBINVD: nothing to do, guests' memory is coherent.
    Wbinvd,
    /// VMMCALL or VMCALL.
    Hypercall,
    /// Access to emulated memory.
    Mmio {
        /// Guest physical address, with or without the shared bit, as it was reported.
        gpa: u64,
    },
}

/// Why an exception is not served.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum NotServed {
    /// A protocol step failed; the error names who is at fault.
    Protocol(crate::error::Error),
    /// The exit code or exit reason is none that we serve: the host invents one, or this guest
    /// does what it must not.
    Unknown(u64),
    /// Private memory that was never accepted, or that the host took away.
    PageNotValidated(u64),
    /// INS, OUTS.
    StringIo,
    /// An access that the decoder refuses.
    Instruction(Refused),
    /// The reported exit does not fit the instruction at RIP: the host invents it.
    Mismatch(Event),
}

impl From<crate::error::Error> for NotServed {
    fn from(error: crate::error::Error) -> Self {
        match error {
            crate::error::Error::Guest(GuestFault::StringIo) => NotServed::StringIo,
            other => NotServed::Protocol(other),
        }
    }
}

impl From<Refused> for NotServed {
    fn from(refused: Refused) -> Self {
        NotServed::Instruction(refused)
    }
}
