//! SEV-SNP, VMPL 0: host calls by GHCB, page states by page-state change and PVALIDATE.

use super::traits::{PageVisibility, Pages};
use crate::refusal::Refusal;
use tessera_defs::hyperv::HYPERCALL_FAST;
use tessera_defs::snp::ghcb::psc::MAX_ENTRIES;
use tessera_protocol::error::{Error, GuestFault, HostFault, Result};
use tessera_protocol::exception::serve::Service;
use tessera_protocol::ghcb::hypercall;
use tessera_protocol::ghcb::psc::{self, Change};
use tessera_protocol::ghcb::request;
use tessera_protocol::ghcb_msr::PageState;
use tessera_protocol::rmp;
use tessera_protocol::traits::{Rmp, Vmgexit};

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
        self.0.halt();
        Ok(())
    }
    /// Fast calls only: their registers travel as the input block of the GHCB's hypercall page.
    fn hypercall(&mut self, control: u64, first: u64, second: u64) -> Result<u64> {
        if control & HYPERCALL_FAST == 0 {
            return Err(Error::Guest(GuestFault::BadValue(control)));
        }
        let mut input = [0; 16];
        input[..8].copy_from_slice(&first.to_le_bytes());
        input[8..].copy_from_slice(&second.to_le_bytes());
        hypercall::hypercall(&mut self.0, control & !HYPERCALL_FAST, &input, 0)
    }
    fn mmio_read(&mut self, gpa: u64, size: u8) -> Result<u64> {
        request::mmio_read(&mut self.0, gpa, size)
    }
    fn mmio_write(&mut self, gpa: u64, size: u8, value: u64) -> Result<()> {
        request::mmio_write(&mut self.0, gpa, size, value)
    }
}

/// Page states by page-state changes in batches and PVALIDATE, both 2 MiB first.
#[derive(Debug)]
pub struct PscVisibility<V, R> {
    /// The GHCB page.
    pub ghcb: V,
    /// PVALIDATE.
    pub rmp: R,
    /// Memory outside the image is assigned to the guest already.
    pub comes_private: bool,
}

type Outcome = core::result::Result<(), Refusal>;

impl<V: Vmgexit + Send, R: Rmp + Send> PscVisibility<V, R> {
    fn ask(&mut self, pages: Pages, state: PageState) -> Outcome {
        let mut pieces = pages.pieces();
        loop {
            let batch = pieces.clone().take(MAX_ENTRIES).map(|piece| Change {
                gpa: piece.gpa,
                large: piece.large,
                state,
            });
            if batch.clone().next().is_none() {
                return Ok(());
            }
            psc::change(&mut self.ghcb, batch).map_err(refused)?;
            // The batch is done; what is left of a short one is nothing.
            pieces.by_ref().take(MAX_ENTRIES).for_each(drop);
        }
    }

    fn validate(&mut self, pages: Pages, valid: bool) -> Outcome {
        let mut pieces = pages.pieces();
        pieces.try_for_each(|piece| {
            rmp::pvalidate(&mut self.rmp, piece.virt, piece.large, valid).map_err(unvalidated)
        })
    }
}

fn refused(error: Error) -> Refusal {
    match error {
        Error::Host(HostFault::Refused { .. }) => Refusal::VisibilityRefused,
        Error::Host(HostFault::NoProgress { .. }) => Refusal::PscIncomplete,
        _ => Refusal::GhcbReplyInvalid,
    }
}

fn unvalidated(error: Error) -> Refusal {
    match error {
        Error::Host(HostFault::DoubleValidation(_)) => Refusal::PageAlreadyValidated,
        _ => Refusal::PageNotGranted,
    }
}

impl<V: Vmgexit + Send, R: Rmp + Send> PageVisibility for PscVisibility<V, R> {
    fn accept(&mut self, pages: Pages) -> Outcome {
        self.assign(pages)?;
        self.validate(pages, true)
    }
    fn assign(&mut self, pages: Pages) -> Outcome {
        if self.comes_private {
            return Ok(());
        }
        self.ask(pages, PageState::Private)
    }
    fn rescind(&mut self, pages: Pages) -> Outcome {
        self.validate(pages, false)
    }
    fn share(&mut self, pages: Pages) -> Outcome {
        self.ask(pages, PageState::Shared)
    }
    fn unshare(&mut self, pages: Pages) -> Outcome {
        self.ask(pages, PageState::Private)
    }
    fn accept_again(&mut self, pages: Pages) -> Outcome {
        self.validate(pages, true)
    }
}
