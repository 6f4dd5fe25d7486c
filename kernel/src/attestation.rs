//! The mode goes into what the hardware signs, before the first process runs; then evidence is
//! asked for once, so that a platform that cannot give it is known now.

use crate::boot::Boot;
use crate::{host, windows};
use tessera_defs::binding::EventLog;
use tessera_defs::refusal::Refusal;
use tessera_handoff::layout::EVENT_LOG;
use tessera_isolation::strategy::traits::NoEvidence;
use tessera_protocol::binding::Binding;
use zerocopy::FromBytes;

/// The data of the one piece of evidence that the kernel asks for itself.
const DATA: &[u8; 64] = b"tessera kernel: asked at boot, to see that evidence can be had..";
/// Bytes of evidence at most.
const ROOM: usize = 2048;

/// Binds the mode, or ends the boot. Below a paravisor the strategy has nothing to bind.
pub fn bind(boot: &Boot) {
    let log = EventLog::read_from_bytes(windows::physical(EVENT_LOG, size_of::<EventLog>()));
    let Ok(log) = log else {
        host::refuse(Refusal::HandoffInvalid)
    };
    let binding = Binding::new(boot.mode, None, &log);
    if let Err(refusal) = host::attestation(|strategy| strategy.bind(&binding)) {
        host::refuse(refusal);
    }
    let mut evidence = [0; ROOM];
    match host::attestation(|strategy| strategy.evidence(DATA, &mut evidence)) {
        Ok(made) => log::info!(
            "attestation: mode bound, evidence of kind {} in {} bytes",
            made.kind,
            made.length
        ),
        Err(NoEvidence::Unattested) => log::info!("attestation: nobody signs"),
        Err(NoEvidence::Refused(refusal)) => host::refuse(refusal),
        Err(_) => host::refuse(Refusal::BindingFailed),
    }
}
