//! Below a paravisor of AMD's kind: page visibility by Hyper-V's hypercall.

use super::traits::{PageVisibility, Pages};
use crate::refusal::Refusal;
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
    fn change(&mut self, gpa: u64, shared: bool) -> Result<(), Refusal> {
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
    fn share(&mut self, gpa: u64) -> Result<(), Refusal> {
        self.change(gpa, true)
    }
    fn unshare(&mut self, gpa: u64) -> Result<(), Refusal> {
        self.change(gpa, false)
    }
    fn accept_again(&mut self, _: Pages) -> Result<(), Refusal> {
        Ok(())
    }
}
