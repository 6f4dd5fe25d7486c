//! Below a paravisor of AMD's kind: page visibility by Hyper-V's hypercall.

use super::traits::{PageVisibility, Pages};
use crate::refusal::Refusal;
use tessera_defs::x86::PAGE_SIZE;
use tessera_protocol::hyperv;
use tessera_protocol::traits::Hypercall;

/// Visibility by `HvCallModifySparseGpaPageHostVisibility`; memory comes accepted.
#[derive(Debug)]
pub struct HvVisibility<H> {
    /// The hypercall instruction.
    pub call: H,
    /// A private page for the input.
    pub input: &'static mut [u8],
    /// Its guest physical address.
    pub input_gpa: u64,
}

impl<H: Hypercall> HvVisibility<H> {
    fn change(&mut self, pages: Pages, shared: bool) -> Result<(), Refusal> {
        (0..pages.count).try_for_each(|n| self.change_one(pages.gpa + n * PAGE_SIZE, shared))
    }

    fn change_one(&mut self, gpa: u64, shared: bool) -> Result<(), Refusal> {
        let encoded = hyperv::visibility_input(self.input, &[gpa], shared);
        let (_, control) = encoded.map_err(|_| Refusal::HypercallReplyInvalid)?;
        hyperv::change_visibility(&mut self.call, control, self.input_gpa)
            .map_err(|_| Refusal::VisibilityRefused)
    }
}

impl<H: Hypercall + Send> PageVisibility for HvVisibility<H> {
    fn accept(&mut self, _: Pages) -> Result<(), Refusal> {
        Ok(())
    }
    fn rescind(&mut self, _: Pages) -> Result<(), Refusal> {
        Ok(())
    }
    fn share(&mut self, pages: Pages) -> Result<(), Refusal> {
        self.change(pages, true)
    }
    fn unshare(&mut self, pages: Pages) -> Result<(), Refusal> {
        self.change(pages, false)
    }
    fn accept_again(&mut self, _: Pages) -> Result<(), Refusal> {
        Ok(())
    }
}
