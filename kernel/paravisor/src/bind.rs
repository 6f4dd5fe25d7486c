//! The mode, this paravisor's features and what was heard from the host go into what the
//! hardware signs, before the lower guest runs.

use crate::partition::Partition;
use crate::{door, pfe};
use tessera_defs::binding::EventLog;
use tessera_defs::mode::Mode;
use tessera_handoff::layout::{EVENT_LOG, PFE_PAGE};
use tessera_protocol::binding::Binding;

/// Binds the mode. The lower guest never runs where that fails.
pub fn mode(mode: Mode, partition: &mut Partition) {
    let features: [u8; 4096] = partition.memory.read(PFE_PAGE);
    let log: EventLog = partition.memory.read(EVENT_LOG);
    let binding = Binding::new(mode, Some(&features[..pfe::BYTES]), &log);
    if let Err(refusal) = partition.attestation.bind(&binding) {
        door::refuse(refusal);
    }
}
