//! MSG_KEY_REQ, and the sealing key of a mode.

use super::channel::{Channel, parse};
use super::seal::Vmpck;
use crate::error::{Error, GuestFault, Result, guest};
use crate::traits::{MessagePages, Vmgexit};
use sha2::{Digest, Sha384};
use tessera_defs::mode::Mode;
use tessera_defs::snp::message::{KeyRequest, KeyResponse, kind, status};
use zerocopy::IntoBytes;
use zeroize::Zeroize;

/// A key derived from the chip's (or the provider's) with `fields`
/// (`defs::snp::message::field`) and `vmpl` mixed in; guest SVN and TCB version are mixed in as
/// 0. It does not depend on the mode: data are sealed by `sealing`. Errors: as `report::report`.
pub fn derive(
    channel: &mut Channel,
    ghcb: &mut impl Vmgexit,
    pages: &mut impl MessagePages,
    fields: u64,
    vmpl: u8,
) -> Result<Vmpck> {
    if vmpl < channel.vmpck() || vmpl > 3 {
        return guest(GuestFault::BadValue(vmpl.into()));
    }
    let mut request = KeyRequest {
        root_key: 0,
        reserved: 0,
        fields,
        vmpl: vmpl.into(),
        guest_svn: 0,
        tcb_version: 0,
    };
    let mut bytes = channel.exchange::<{ size_of::<KeyResponse>() }>(
        ghcb,
        pages,
        kind::KEY_REQ,
        request.as_mut_bytes(),
    )?;
    let mut response: KeyResponse = parse(&bytes);
    bytes.zeroize();
    let key = response.derived_key;
    response.derived_key.zeroize();
    match response.status {
        status::SUCCESS => Ok(key),
        status => Err(Error::Platform {
            operation: "MSG_KEY_REQ",
            status: status.into(),
        }),
    }
}

/// In front of the mode in the KDF's FixedInfo.
const SEALING: &[u8] = b"tessera sealing key";

/// The key under which `mode` seals data: NIST SP 800-56C rev. 2, 4.1, one-step KDF with SHA-384,
/// counter 1, Z the derived key, FixedInfo the label and the mode's number.
pub fn sealing(derived: &Vmpck, mode: Mode) -> Vmpck {
    let mut hash = Sha384::new();
    hash.update(1u32.to_be_bytes());
    hash.update(derived);
    hash.update(SEALING);
    hash.update((mode as u32).to_le_bytes());
    let mut bytes: [u8; 48] = hash.finalize().into();
    let mut key = [0; 32];
    key.copy_from_slice(&bytes[..32]);
    bytes.zeroize();
    key
}
