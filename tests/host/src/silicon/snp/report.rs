//! Attestation reports and derived keys of the security processor. Source: 56860 rev. 1.58.
//!
//! Reports are signed by a fixed key that everybody can read here: a **test authority**. They
//! show the protocol and the signature's form, and prove nothing about any machine.

use p384::ecdsa::{Signature as Ecdsa, SigningKey, signature::Signer};
use sha2::{Digest, Sha256};
use tessera_defs::snp::{
    message::{KeyRequest, KeyResponse, ReportRequest, ReportResponse, field, status},
    report::{ALGO_ECDSA_P384_SHA384, AttestationReport, SIGNED, Signature, VERSION},
};
use zerocopy::{FromZeros, IntoBytes};

/// Private key of the test authority: a number without secrets.
const TEST_KEY: [u8; 48] = *b"tessera test host: not a VCEK, proves nothing...";
/// CHIP_ID, which the VCEK certificate of `tests/vectors/snp/authority.py` names: no chip either.
const CHIP_ID: [u8; 64] = *b"tessera test host: a chip that is not one, and proves nothing...";
/// CurrentVersion: build, minor, major of ABI 1.58.
const FIRMWARE: [u8; 4] = [0, 58, 1, 0];

/// What the guest context holds since the launch.
#[derive(Clone, Debug)]
pub struct Guest {
    /// Guest policy.
    pub policy: u64,
    /// Launch digest.
    pub measurement: [u8; 48],
    /// REPORT_ID.
    pub report_id: [u8; 32],
}

impl Default for Guest {
    fn default() -> Self {
        Self {
            policy: 0,
            measurement: [0; 48],
            report_id: [0; 32],
        }
    }
}

/// A request for a VMPL that is more privileged than the sender's, or that does not exist.
fn forbidden(vmpl: u32, sender: u8) -> bool {
    vmpl < sender.into() || vmpl > 3
}

/// MSG_REPORT_RSP to a message under key `sender`.
pub fn report_response(guest: &Guest, sender: u8, request: &ReportRequest) -> ReportResponse {
    let mut response = ReportResponse::new_zeroed();
    response.report_size = size_of::<AttestationReport>() as u32;
    if request.reserved != [0; 24] || request.key_sel > 3 || forbidden(request.vmpl, sender) {
        response.status = status::INVALID_PARAMETERS;
    } else if request.key_sel > 1 {
        // VLEK: none is installed.
        response.status = status::INVALID_KEY_SELECTION;
    } else {
        response.report = signed(guest, request);
    }
    response
}

fn signed(guest: &Guest, request: &ReportRequest) -> AttestationReport {
    let mut report = AttestationReport::new_zeroed();
    report.version = VERSION;
    report.policy = guest.policy;
    report.vmpl = request.vmpl;
    report.signature_algo = ALGO_ECDSA_P384_SHA384;
    report.report_data = request.report_data;
    report.measurement = guest.measurement;
    report.report_id = guest.report_id;
    report.report_id_ma = [0xFF; 32];
    report.chip_id = CHIP_ID;
    (report.current_version, report.committed_version) = (FIRMWARE, FIRMWARE);
    report.signature = sign(&report.as_bytes()[..SIGNED]);
    report
}

fn sign(message: &[u8]) -> Signature {
    let mut out = Signature::new_zeroed();
    let Ok(key) = SigningKey::from_slice(&TEST_KEY) else {
        return out;
    };
    let signature: Ecdsa = key.sign(message);
    let (r, s) = signature.split_bytes();
    let numbers = [(&mut out.r, r), (&mut out.s, s)];
    for (place, number) in numbers {
        // Big endian there, little endian here.
        let bytes = number.iter().rev();
        place
            .iter_mut()
            .zip(bytes)
            .for_each(|(to, from)| *to = *from);
    }
    out
}

/// MSG_KEY_RSP to a message under key `sender`. The key is a function of this file's key, of the
/// request and of the selected fields; a real one is by NIST's KDF from a chip's secret.
pub fn key_response(guest: &Guest, sender: u8, request: &KeyRequest) -> KeyResponse {
    let mut response = KeyResponse::new_zeroed();
    let unknown = request.root_key & !7 | request.reserved;
    let later = request.guest_svn != 0 && request.fields & field::GUEST_SVN != 0
        || request.tcb_version != 0 && request.fields & field::TCB_VERSION != 0;
    if unknown != 0 || request.fields & !field::ALL != 0 || later || forbidden(request.vmpl, sender)
    {
        response.status = status::INVALID_PARAMETERS;
        return response;
    }
    if request.root_key & 1 == 0 && request.root_key >> 1 > 1 {
        response.status = status::INVALID_KEY_SELECTION;
        return response;
    }
    let mut hash = Sha256::new();
    hash.update(TEST_KEY);
    hash.update((request.root_key & 1).to_le_bytes());
    hash.update(request.fields.to_le_bytes());
    hash.update(request.vmpl.to_le_bytes());
    if request.fields & field::GUEST_POLICY != 0 {
        hash.update(guest.policy.to_le_bytes());
    }
    if request.fields & field::MEASUREMENT != 0 {
        hash.update(guest.measurement);
    }
    response.derived_key = hash.finalize().into();
    response
}

#[cfg(test)]
pub(super) fn test_authority() -> p384::ecdsa::VerifyingKey {
    *SigningKey::from_slice(&TEST_KEY).unwrap().verifying_key()
}
