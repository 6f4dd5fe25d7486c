//! Below our paravisor: further processors by `HvCallStartVirtualProcessor` (`docs/pfe.md`).

use super::traits::{Pages, Processors, SendIpi, Start};
use crate::refusal::Refusal;
use tessera_defs::hyperv::HV_STATUS_INVALID_VP_STATE;
use tessera_protocol::error::{Error, HostFault};
use tessera_protocol::traits::{Hypercall, MessagePages};
use tessera_protocol::{hyperv, start_vp};
use zerocopy::IntoBytes;

/// Starts by the call. A processor's VP index is its APIC ID.
#[derive(Debug)]
pub struct StartCall<H, P> {
    /// The hypercall instruction.
    pub call: H,
    /// Private memory for the input.
    pub pages: P,
}

impl<H: Hypercall + Send, P: MessagePages + Send> Processors for StartCall<H, P> {
    fn start(
        &mut self,
        _: u8,
        apic_id: u32,
        start: &Start,
        _: Pages,
        _: SendIpi<'_>,
    ) -> Result<(), Refusal> {
        let control = [start.cr0, start.cr4, start.efer];
        let context = start_vp::long_mode(start.rip, start.cr3, control);
        self.pages
            .put(start_vp::input(apic_id, context).as_bytes(), &[]);
        let [input, _] = self.pages.addresses();
        let result = self.call.hypercall(start_vp::CONTROL, input, 0);
        match hyperv::check(start_vp::CONTROL, result) {
            Ok(()) => Ok(()),
            // It has its start already, and did not arrive yet.
            Err(Error::Host(HostFault::HvStatus(HV_STATUS_INVALID_VP_STATE))) => Ok(()),
            Err(_) => Err(Refusal::ProcessorNotStarted),
        }
    }
}
