//! MSG_KEY_REQ.

use super::channel::{Channel, parse};
use super::seal::Vmpck;
use crate::error::{Error, GuestFault, Result, guest};
use crate::traits::{MessagePages, Vmgexit};
use tessera_defs::snp::message::{KeyRequest, KeyResponse, kind, status};
use zerocopy::IntoBytes;
use zeroize::Zeroize;

/// A key derived from the chip's (or the provider's) with `fields`
/// (`defs::snp::message::field`) and `vmpl` mixed in; guest SVN and TCB version are mixed in as
/// 0. Errors: as `report::report`.
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
