//! The mode, this paravisor's features and what was heard from the host go into what the
//! hardware signs, before the lower guest runs.

use crate::context::Paravisor;
use crate::{door, pfe};
use tessera_defs::binding::EventLog;
use tessera_handoff::layout::{EVENT_LOG, PFE_PAGE};
use tessera_protocol::binding::Binding;

/// Binds the mode. The lower guest never runs where that fails.
pub fn mode(paravisor: &mut Paravisor<'_>) {
    let features: [u8; 4096] = paravisor.memory.read(PFE_PAGE);
    let log: EventLog = paravisor.memory.read(EVENT_LOG);
    let binding = Binding::new(paravisor.mode, Some(&features[..pfe::BYTES]), &log);
    if let Err(refusal) = paravisor.attestation.bind(&binding) {
        door::refuse(refusal);
    }
}
