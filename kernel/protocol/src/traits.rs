//! One-method traits for the instructions below the protocols. `tessera-hw` implements them;
//! tests plug in fake hosts.

use crate::ghcb::frame::GhcbFrame;
use tessera_defs::tdx::tdcall::TdcallRegs;

/// VMGEXIT by the GHCB page.
pub trait Vmgexit {
    /// Copies the fields of `frame` that are set to the shared page with their valid bits,
    /// exits, and copies the answer back. A copied-back field is a claim by the host.
    fn vmgexit(&mut self, frame: &mut GhcbFrame);

    /// HLT with interrupts open, which close again behind it. It is an automatic exit: no event of
    /// the GHCB standard stands for it, and no host wakes a halt with RFLAGS.IF clear for an
    /// interrupt (APM vol. 2, table 15-35; Linux `svm_interrupt_blocked`).
    fn halt(&mut self);
}

/// The two shared pages of guest messages.
pub trait MessagePages {
    /// Guest physical addresses of request and response page, without the shared bit.
    fn addresses(&self) -> [u64; 2];
    /// Writes a request: its header, its payload, zeros to the end of the page.
    fn put(&mut self, header: &[u8], payload: &[u8]);
    /// Copies bytes of the response page from `offset` on; what the host has there now.
    fn take(&mut self, offset: usize, into: &mut [u8]);
}

/// The GHCB MSR protocol.
pub trait GhcbMsr {
    /// Writes `request` to the GHCB MSR, VMGEXIT, reads the MSR.
    fn exchange(&mut self, request: u64) -> u64;
}

/// TDCALL.
pub trait Tdcall {
    /// Executes TDCALL with the registers and writes them all back.
    fn tdcall(&mut self, regs: &mut TdcallRegs);
}

/// RDMSR and WRMSR of registers that the processor virtualises for this guest.
pub trait VirtualMsr {
    /// Reads the register.
    fn read(&mut self, msr: u32) -> u64;
    /// Writes it.
    fn write(&mut self, msr: u32, value: u64);
}

/// Hyper-V hypercalls by VMMCALL, VMCALL or a route that carries them.
pub trait Hypercall {
    /// Hypercall input value, input GPA, output GPA; result value.
    fn hypercall(&mut self, control: u64, input_gpa: u64, output_gpa: u64) -> u64;
}

/// One instruction on the RMP.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[allow(missing_docs)]
pub enum RmpOperation {
    /// PVALIDATE.
    Pvalidate { validate: bool },
    /// RMPADJUST with RDX.
    Rmpadjust { attributes: u64 },
}

/// PVALIDATE and RMPADJUST.
pub trait Rmp {
    /// Executes `operation` on the page at `virt`; EAX, and CF of PVALIDATE ("unchanged").
    fn execute(&mut self, operation: RmpOperation, virt: u64, large: bool) -> (u32, bool);
}
