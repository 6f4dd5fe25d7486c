//! The binding: one digest that says which mode this is and what was heard from the host, for
//! what the hardware signs. `docs/binding.md` is the specification.

use sha2::{Digest as _, Sha384};
use tessera_defs::binding::{
    Digest, EVENTS, Event, EventLog, LOG_MAGIC, LOG_VERSION, MAGIC, Preimage, REPORT_TAG, VERSION,
};
use tessera_defs::mode::Mode;
use zerocopy::IntoBytes;

/// SHA-384.
pub fn digest(bytes: &[u8]) -> Digest {
    Sha384::digest(bytes).into()
}

/// An event of `kind` over the bytes as they came.
pub fn event(kind: u32, claim: &[u8]) -> Event {
    Event {
        kind,
        length: claim.len() as u32,
        digest: digest(claim),
    }
}

/// A log of these events.
pub const fn log(events: [Event; EVENTS]) -> EventLog {
    EventLog {
        magic: LOG_MAGIC,
        version: LOG_VERSION,
        count: EVENTS as u32,
        events,
    }
}

/// SHA-384 of the preimage.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Binding(Digest);

impl Binding {
    /// Of a mode, the paravisor's feature table (header and entries) where there is one, and
    /// the event log.
    pub fn new(mode: Mode, features: Option<&[u8]>, log: &EventLog) -> Self {
        let preimage = Preimage {
            magic: MAGIC,
            version: VERSION,
            mode: mode as u32,
            features: features.map_or([0; 48], digest),
            log: digest(log.as_bytes()),
        };
        Self(digest(preimage.as_bytes()))
    }

    /// The digest.
    pub const fn digest(&self) -> &Digest {
        &self.0
    }

    /// REPORT_DATA of the first report: binding, zeros.
    pub fn first(&self) -> [u8; 64] {
        let mut bytes = [0; 64];
        bytes[..48].copy_from_slice(&self.0);
        bytes
    }

    /// REPORT_DATA of a report over a caller's data: SHA-384(binding, data), tag. No caller's
    /// bytes stand in a report of VMPL 0 as they are.
    pub fn over(&self, data: &[u8; 64]) -> [u8; 64] {
        let mut hash = Sha384::new();
        hash.update(self.0);
        hash.update(data);
        let mut bytes = [0; 64];
        bytes[..48].copy_from_slice(&hash.finalize());
        bytes[48..].copy_from_slice(&REPORT_TAG);
        bytes
    }
}
