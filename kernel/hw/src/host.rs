//! The traits of `tessera-protocol` over the raw instructions. Each value is made by an unsafe
//! `new`, in which the caller promises what the instruction needs; the methods are safe then,
//! because the protocols only make the host and the module do what the promise covers.
#![allow(unsafe_code)] // reason: instructions of `isolation`

use crate::instr::{rdmsr, without_interrupts, wrmsr};
use crate::isolation;
use tessera_defs::snp::ghcb_msr::MSR_GHCB;
use tessera_defs::tdx::tdcall::TdcallRegs;
use tessera_protocol::traits::{GhcbMsr, Hypercall, Rmp, RmpOperation, Tdcall, VirtualMsr};

/// Declares a marker that only an unsafe constructor makes.
macro_rules! promise {
    ($(#[$doc:meta])* $name:ident) => {
        $(#[$doc])*
        #[derive(Debug)]
        pub struct $name(());

        impl $name {
            /// See the type.
            ///
            /// # Safety
            /// What the type's documentation demands holds as long as the value lives.
            pub const unsafe fn new() -> Self {
                Self(())
            }
        }
    };
}

promise! {
    /// GHCB MSR protocol. Demands: SEV-ES or later; the page states that callers ask for
    /// concern only memory that no live object stands in.
    GhcbMsrPort
}
promise! {
    /// TDCALL. Demands: a TD (or an L2 VM whose L1 serves it); page states, reports and L2
    /// entries that callers ask for concern only memory that no live object stands in, or
    /// that is given for them.
    TdcallPort
}
promise! {
    /// The virtual APIC's registers by RDMSR and WRMSR. Demands: a TD; callers name registers
    /// of `defs::tdx::msr::virtual_apic` only.
    VirtualApicPort
}
promise! {
    /// Hypercalls by VMMCALL. Demands: a hypervisor, or a paravisor by ReflectVC, takes them;
    /// effects as for `TdcallPort`.
    VmmcallPort
}
promise! {
    /// Hypercalls by VMCALL. Demands: as for `VmmcallPort`, on Intel's side.
    VmcallPort
}
promise! {
    /// PVALIDATE and RMPADJUST. Demands: SNP; callers name mapped pages in which no live
    /// object stands, or (RMPADJUST) which the target VMPL may have.
    RmpPort
}

impl GhcbMsr for GhcbMsrPort {
    fn exchange(&mut self, request: u64) -> u64 {
        // SAFETY: the promise of `new`; interrupts are off, so that no handler's use of the
        // register comes between. The page protocol sets the register for each exit.
        without_interrupts(|| unsafe {
            wrmsr(MSR_GHCB, request);
            isolation::vmgexit();
            rdmsr(MSR_GHCB)
        })
    }
}

impl Tdcall for TdcallPort {
    fn tdcall(&mut self, regs: &mut TdcallRegs) {
        // SAFETY: the promise of `new`.
        unsafe { isolation::tdcall(regs) }
    }
}

impl VirtualMsr for VirtualApicPort {
    fn read(&mut self, msr: u32) -> u64 {
        // SAFETY: the promise of `new`; such a register has no effect on memory.
        unsafe { rdmsr(msr) }
    }
    fn write(&mut self, msr: u32, value: u64) {
        // SAFETY: as above.
        unsafe { wrmsr(msr, value) }
    }
}

impl Hypercall for VmmcallPort {
    fn hypercall(&mut self, control: u64, input_gpa: u64, output_gpa: u64) -> u64 {
        // SAFETY: the promise of `new`.
        unsafe { isolation::vmmcall(control, input_gpa, output_gpa) }
    }
}

impl Hypercall for VmcallPort {
    fn hypercall(&mut self, control: u64, input_gpa: u64, output_gpa: u64) -> u64 {
        // SAFETY: the promise of `new`.
        unsafe { isolation::vmcall(control, input_gpa, output_gpa) }
    }
}

impl Rmp for RmpPort {
    fn execute(&mut self, operation: RmpOperation, virt: u64, large: bool) -> (u32, bool) {
        // SAFETY: the promise of `new`.
        unsafe {
            match operation {
                RmpOperation::Pvalidate { validate } => isolation::pvalidate(virt, large, validate),
                RmpOperation::Rmpadjust { attributes } => {
                    (isolation::rmpadjust(virt, large, attributes), false)
                }
            }
        }
    }
}
