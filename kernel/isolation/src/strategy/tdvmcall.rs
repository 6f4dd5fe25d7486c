//! TDX, L1: host calls by TDVMCALL, page states by MapGPA and TDG.MEM.PAGE.ACCEPT.

use super::traits::{PageVisibility, Pages};
use crate::refusal::Refusal;
use tessera_defs::tdx::msr::virtual_apic;
use tessera_defs::tdx::page::SHARED_BIT;
use tessera_defs::x86::PAGE_SIZE;
use tessera_protocol::error::{Error, HostFault, Result};
use tessera_protocol::exception::serve::Service;
use tessera_protocol::tdx::{memory, vmcall};
use tessera_protocol::traits::{Hypercall, Tdcall, VirtualMsr};

/// Host calls by TDVMCALL; the virtual APIC's registers by the instructions themselves, because
/// no host can serve them.
#[derive(Debug)]
pub struct VmcallCalls<T, M>(pub T, pub M);

impl<T: Tdcall, M: VirtualMsr> Service for VmcallCalls<T, M> {
    fn cpuid(&mut self, leaf: u32, subleaf: u32) -> Result<[u32; 4]> {
        vmcall::cpuid(&mut self.0, leaf, subleaf)
    }
    fn rdmsr(&mut self, msr: u32) -> Result<u64> {
        match virtual_apic(msr) {
            true => Ok(self.1.read(msr)),
            false => vmcall::rdmsr(&mut self.0, msr),
        }
    }
    fn wrmsr(&mut self, msr: u32, value: u64) -> Result<()> {
        if virtual_apic(msr) {
            self.1.write(msr, value);
            return Ok(());
        }
        vmcall::wrmsr(&mut self.0, msr, value)
    }
    fn io_in(&mut self, port: u16, size: u8) -> Result<u32> {
        vmcall::io_in(&mut self.0, port, size)
    }
    fn io_out(&mut self, port: u16, size: u8, value: u32) -> Result<()> {
        vmcall::io_out(&mut self.0, port, size, value)
    }
    fn halt(&mut self) -> Result<()> {
        vmcall::hlt(&mut self.0, false)
    }
    /// Inputs are the registers of a fast call, or addresses of pages that are shared.
    fn hypercall(&mut self, control: u64, first: u64, second: u64) -> Result<u64> {
        Ok(vmcall::VmcallHypercall(&mut self.0).hypercall(control, first, second))
    }
    fn mmio_read(&mut self, gpa: u64, size: u8) -> Result<u64> {
        vmcall::mmio_read(&mut self.0, gpa, size)
    }
    fn mmio_write(&mut self, gpa: u64, size: u8, value: u64) -> Result<()> {
        vmcall::mmio_write(&mut self.0, gpa, size, value)
    }
}

/// Page states by MapGPA and acceptance.
#[derive(Debug)]
pub struct AcceptVisibility<T>(pub T);

impl<T: Tdcall + Send> AcceptVisibility<T> {
    fn map(&mut self, pages: Pages, shared: bool) -> core::result::Result<(), Refusal> {
        let len = pages.count * PAGE_SIZE;
        vmcall::map_gpa(&mut self.0, pages.gpa, len, 1 << SHARED_BIT, shared).map_err(|error| {
            match error {
                Error::Host(HostFault::NoProgress { .. }) => Refusal::PscIncomplete,
                Error::Host(HostFault::OutOfRange { .. }) => Refusal::VmcallReplyInvalid,
                _ => Refusal::VisibilityRefused,
            }
        })
    }
}

impl<T: Tdcall + Send> PageVisibility for AcceptVisibility<T> {
    fn accept(&mut self, pages: Pages) -> core::result::Result<(), Refusal> {
        pages.pieces().try_for_each(|piece| {
            memory::accept(&mut self.0, piece.gpa, piece.large).map_err(|error| match error {
                Error::Host(HostFault::DoubleValidation(_)) => Refusal::PageAlreadyValidated,
                _ => Refusal::PageNotGranted,
            })
        })
    }
    fn rescind(&mut self, _: Pages) -> core::result::Result<(), Refusal> {
        Ok(())
    }
    fn share(&mut self, pages: Pages) -> core::result::Result<(), Refusal> {
        self.map(pages, true)
    }
    fn unshare(&mut self, pages: Pages) -> core::result::Result<(), Refusal> {
        self.map(pages, false)
    }
    fn accept_again(&mut self, pages: Pages) -> core::result::Result<(), Refusal> {
        self.accept(pages)
    }
}
