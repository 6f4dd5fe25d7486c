//! SNP: the guest policy of the launch, which only a report tells.

use crate::memory;
use tessera_defs::refusal::Refusal;
use tessera_defs::snp::secrets::{SecretsPage, VERSIONS};
use tessera_handoff::layout::SECRETS_PAGE;
use tessera_protocol::error::{Error, HostFault};
use tessera_protocol::message::{channel::Channel, report};
use tessera_protocol::traits::{MessagePages, Vmgexit};

/// REPORT_DATA of the stub's own report. It may be fixed: the report never leaves the guest, and that
/// it is fresh is shown by the sequence number under a key that only the security processor
/// shares with VMPL 0. It names its purpose, so that nobody takes it for evidence.
const PURPOSE: &[u8; 64] = b"tessera stub: only to read the guest policy, not evidence.......";
/// VMPCK 0: the stub runs in VMPL 0.
const VMPL: u8 = 0;

/// The guest policy. The sequence number that was used is recorded in the secrets page, where
/// kernel or paravisor find it. Errors: `SecretsPageInvalid`, `GuestRequestRefused`,
/// `GuestMessageInvalid`, `GhcbReplyInvalid` (host).
pub fn read(ghcb: &mut impl Vmgexit, pages: &mut impl MessagePages) -> Result<u64, Refusal> {
    let mut secrets: SecretsPage = memory::read(SECRETS_PAGE);
    if !VERSIONS.contains(&secrets.version) {
        return Err(Refusal::SecretsPageInvalid);
    }
    let channel = Channel::from_secrets(&secrets, VMPL);
    let mut channel = channel.map_err(|_| Refusal::SecretsPageInvalid)?;
    let report = report::report(&mut channel, ghcb, pages, PURPOSE, VMPL);
    channel.record(&mut secrets);
    memory::write_value(SECRETS_PAGE, &secrets);
    report.map(|report| report.policy).map_err(refusal)
}

fn refusal(error: Error) -> Refusal {
    match error {
        Error::Host(HostFault::Message(_)) => Refusal::GuestMessageInvalid,
        Error::Host(HostFault::OutOfRange { .. }) => Refusal::GhcbReplyInvalid,
        _ => Refusal::GuestRequestRefused,
    }
}
