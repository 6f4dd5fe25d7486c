//! SEV-SNP, VMPL 0: host calls by GHCB, page states by page-state change and PVALIDATE.

use super::traits::{PageVisibility, Pages};
use crate::refusal::Refusal;
use tessera_protocol::error::{Error, HostFault, Result};
use tessera_protocol::exception::serve::Service;
use tessera_protocol::ghcb::request;
use tessera_protocol::ghcb_msr::{self, PageState};
use tessera_protocol::rmp;
use tessera_protocol::traits::{GhcbMsr, Rmp, Vmgexit};

/// Host calls through a registered GHCB page.
#[derive(Debug)]
pub struct GhcbCalls<V>(pub V);

impl<V: Vmgexit> Service for GhcbCalls<V> {
    fn cpuid(&mut self, leaf: u32, subleaf: u32) -> Result<[u32; 4]> {
        request::cpuid(&mut self.0, leaf, subleaf, 1)
    }
    fn rdmsr(&mut self, msr: u32) -> Result<u64> {
        request::rdmsr(&mut self.0, msr)
    }
    fn wrmsr(&mut self, msr: u32, value: u64) -> Result<()> {
        request::wrmsr(&mut self.0, msr, value)
    }
    fn io_in(&mut self, port: u16, size: u8) -> Result<u32> {
        request::io_in(&mut self.0, port, size)
    }
    fn io_out(&mut self, port: u16, size: u8, value: u32) -> Result<()> {
        request::io_out(&mut self.0, port, size, value)
    }
    fn halt(&mut self) -> Result<()> {
        request::hlt(&mut self.0)
    }
    fn hypercall(&mut self, control: u64, _: u64, _: u64) -> Result<u64> {
        Err(Error::Host(HostFault::Refused {
            request: control,
            code: 0,
        }))
    }
    fn mmio_read(&mut self, gpa: u64, size: u8) -> Result<u64> {
        request::mmio_read(&mut self.0, gpa, size)
    }
    fn mmio_write(&mut self, gpa: u64, size: u8, value: u64) -> Result<()> {
        request::mmio_write(&mut self.0, gpa, size, value)
    }
}

/// Page states by the GHCB MSR protocol and PVALIDATE.
#[derive(Debug)]
pub struct PscVisibility<M, R> {
    /// The GHCB MSR.
    pub msr: M,
    /// PVALIDATE.
    pub rmp: R,
    /// Memory outside the image is assigned to the guest already.
    pub comes_private: bool,
}

impl<M: GhcbMsr + Send, R: Rmp + Send> PscVisibility<M, R> {
    fn ask(&mut self, gpa: u64, state: PageState) -> core::result::Result<(), Refusal> {
        ghcb_msr::page_state(&mut self.msr, gpa, state).map_err(|error| match error {
            Error::Host(HostFault::Refused { .. }) => Refusal::VisibilityRefused,
            _ => Refusal::GhcbReplyInvalid,
        })
    }

    fn validate(&mut self, pages: Pages, valid: bool) -> core::result::Result<(), Refusal> {
        for n in 0..pages.count {
            rmp::pvalidate(&mut self.rmp, pages.virt + n * 4096, false, valid).map_err(refusal)?;
        }
        Ok(())
    }
}

fn refusal(error: Error) -> Refusal {
    match error {
        Error::Host(HostFault::DoubleValidation(_)) => Refusal::PageAlreadyValidated,
        _ => Refusal::PageNotGranted,
    }
}

impl<M: GhcbMsr + Send, R: Rmp + Send> PageVisibility for PscVisibility<M, R> {
    fn accept(&mut self, pages: Pages) -> core::result::Result<(), Refusal> {
        if !self.comes_private {
            for n in 0..pages.count {
                self.ask(pages.gpa + n * 4096, PageState::Private)?;
            }
        }
        self.validate(pages, true)
    }
    fn rescind(&mut self, pages: Pages) -> core::result::Result<(), Refusal> {
        self.validate(pages, false)
    }
    fn share(&mut self, gpa: u64) -> core::result::Result<(), Refusal> {
        self.ask(gpa, PageState::Shared)
    }
    fn unshare(&mut self, gpa: u64) -> core::result::Result<(), Refusal> {
        self.ask(gpa, PageState::Private)
    }
    fn accept_again(&mut self, pages: Pages) -> core::result::Result<(), Refusal> {
        self.validate(pages, true)
    }
}
