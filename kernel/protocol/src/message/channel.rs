//! One VMPCK and its sequence numbers: request, response, and the rule that no number is used
//! twice. The rule is the one of Linux's sev-guest driver: after an exchange whose end is not
//! known the key is wiped, because the next request would use the same number for other bytes,
//! and two messages under one initialisation vector give AES-GCM's authentication key away.

use super::seal::{self, Vmpck};
use crate::error::{Error, GuestFault, HostFault, MessageFault, Result, guest, host};
use crate::ghcb::request;
use crate::traits::{MessagePages, Vmgexit};
use tessera_defs::snp::ghcb::{exit, guest_request};
use tessera_defs::snp::message::{
    ALGO_AES_256_GCM, HEADER, HEADER_VERSION, MAX_PAYLOAD, MESSAGE_VERSION, MessageHeader,
};
use tessera_defs::snp::secrets::SecretsPage;
use zerocopy::{FromBytes, FromZeros, IntoBytes};
use zeroize::Zeroize;

/// How often a host that says "busy" is asked again with the same message.
const MAX_BUSY: usize = 64;

/// A channel to the security processor.
pub struct Channel {
    vmpck: u8,
    key: Vmpck,
    /// The last number used, by request or response.
    sequence: u64,
    open: bool,
}

impl Channel {
    /// A channel under `key`, number `vmpck`, whose last message had `sequence`. Errors:
    /// `ChannelClosed` for a key of zeros, which is one that was wiped.
    pub fn new(vmpck: u8, key: Vmpck, sequence: u64) -> Result<Self> {
        if vmpck > 3 || key == [0; 32] {
            return guest(GuestFault::ChannelClosed);
        }
        Ok(Self {
            vmpck,
            key,
            sequence,
            open: true,
        })
    }

    /// The channel of a VMPL, by the secrets page and what was recorded there. Errors: as `new`.
    pub fn from_secrets(page: &SecretsPage, vmpl: u8) -> Result<Self> {
        let at = usize::from(vmpl & 3);
        let low = u64::from(page.guest.msg_seqno_low[at]);
        let sequence = low | u64::from(page.guest.msg_seqno_high[at]) << 32;
        Self::new(vmpl, page.vmpck[at], sequence)
    }

    /// Records in the secrets page how far the channel is: the last number, or, after a failure,
    /// that the key must not be used again (zeros).
    pub fn record(&self, page: &mut SecretsPage) {
        let at = usize::from(self.vmpck);
        page.guest.msg_seqno_low[at] = self.sequence as u32;
        page.guest.msg_seqno_high[at] = (self.sequence >> 32) as u32;
        if !self.open {
            page.vmpck[at].zeroize();
        }
    }

    /// Number of the key, which is the VMPL that the security processor takes the sender for.
    pub fn vmpck(&self) -> u8 {
        self.vmpck
    }

    /// The last sequence number used.
    pub fn sequence(&self) -> u64 {
        self.sequence
    }

    /// Whether another message may be sent.
    pub fn is_open(&self) -> bool {
        self.open
    }

    /// Sends `payload` as a message of `kind`, and returns the response's payload. Errors: every
    /// error but one of the caller's own (`BadLength`) closes the channel and wipes the key.
    pub fn exchange<const N: usize>(
        &mut self,
        ghcb: &mut impl Vmgexit,
        pages: &mut impl MessagePages,
        kind: u8,
        payload: &mut [u8],
    ) -> Result<[u8; N]> {
        let fits = |len: usize| len <= MAX_PAYLOAD && len != 0 && len.is_multiple_of(16);
        if !fits(payload.len()) || !fits(N) {
            return guest(GuestFault::BadLength(payload.len()));
        }
        if !self.open || self.sequence > u64::MAX - 3 {
            self.close();
            return guest(GuestFault::ChannelClosed);
        }
        // Closed until the response is believed: a panic or an early return leaves it so.
        self.open = false;
        let result = self.attempt(ghcb, pages, kind, payload);
        self.open = result.is_ok();
        if result.is_err() {
            self.close();
        }
        result
    }

    fn attempt<const N: usize>(
        &mut self,
        ghcb: &mut impl Vmgexit,
        pages: &mut impl MessagePages,
        kind: u8,
        payload: &mut [u8],
    ) -> Result<[u8; N]> {
        let number = self.sequence + 1;
        let mut header = seal::header(kind, self.vmpck, number, payload.len() as u16);
        seal::seal(&self.key, &mut header, payload);
        // From here on the host has bytes under this number.
        self.sequence = number;
        send(ghcb, pages, &header, payload)?;
        self.sequence = number + 1;
        let mut answer = MessageHeader::new_zeroed();
        pages.take(0, answer.as_mut_bytes());
        self.check(&answer, kind, N)?;
        let mut bytes = [0; N];
        pages.take(HEADER, &mut bytes);
        if !seal::open(&self.key, &answer, &mut bytes) {
            return host(HostFault::Message(MessageFault::Tag));
        }
        Ok(bytes)
    }

    /// Everything in the private copy of the header that is not the tag's to find.
    fn check(&self, answer: &MessageHeader, kind: u8, size: usize) -> Result<()> {
        let header = answer.algo == ALGO_AES_256_GCM
            && answer.hdr_version == HEADER_VERSION
            && usize::from(answer.hdr_size) == HEADER
            && answer.msg_vmpck == self.vmpck;
        let typed = answer.msg_type == kind + 1 && answer.msg_version == MESSAGE_VERSION;
        let fault = if answer.msg_seqno != self.sequence {
            MessageFault::Sequence(answer.msg_seqno)
        } else if !header {
            MessageFault::Header
        } else if !typed {
            MessageFault::Type(answer.msg_type)
        } else if usize::from(answer.msg_size) != size {
            MessageFault::Size(answer.msg_size)
        } else {
            return Ok(());
        };
        host(HostFault::Message(fault))
    }

    fn close(&mut self) {
        self.key.zeroize();
        self.open = false;
    }
}

impl Drop for Channel {
    fn drop(&mut self) {
        self.key.zeroize();
    }
}

/// Gives the message to the host until it is not busy. The same bytes every time: the same
/// number may carry nothing else.
fn send(
    ghcb: &mut impl Vmgexit,
    pages: &mut impl MessagePages,
    header: &MessageHeader,
    payload: &[u8],
) -> Result<()> {
    const BUSY: u64 = (guest_request::VMM_BUSY as u64) << guest_request::VMM_SHIFT;
    let [ask, answer] = pages.addresses();
    for _ in 0..MAX_BUSY {
        pages.put(header.as_bytes(), payload);
        match request::guest_request(ghcb, ask, answer) {
            Err(Error::Host(HostFault::Refused { code, .. })) if code == BUSY => {}
            other => return other,
        }
    }
    host(HostFault::NoProgress {
        request: exit::GUEST_REQUEST,
    })
}

/// A payload as the type that it is.
pub(super) fn parse<T: FromBytes, const N: usize>(bytes: &[u8; N]) -> T {
    const { assert!(size_of::<T>() == N) };
    T::read_from_bytes(bytes).expect("the length is the type's")
}
