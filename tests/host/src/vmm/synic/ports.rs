//! Messages and events of the guest. This host has no VMBus: it has no ports, and every connection is unknown. A
//! host that is probed (`probing=1`) has connections `ECHO` to `ECHO` + 15, ours, which lead back to the caller's own
//! sources. Source: TLFS 6.0b, 11.10, "HvCallPostMessage" and "HvCallSignalEvent".

use super::{BUFFERS, Message, Synic};
use crate::vmm::Vmm;
use tessera_defs::hyperv::{self as hv, synic::*};

/// Connection to the caller's own SINT0.
pub const ECHO: u32 = 0x54_0000;
/// Bytes of the inputs.
const POST: usize = 256;
const SIGNAL: usize = 8;

impl Vmm {
    /// HvCallPostMessage: a simple call, never fast.
    pub(in crate::vmm) fn post_message(&mut self, control: u64, input: &[u8]) -> u16 {
        let simple = control >> hv::HYPERCALL_REP_COUNT_SHIFT == 0;
        let Some((head, payload)) = input.get(..POST).and_then(<[u8]>::split_first_chunk::<16>)
        else {
            return hv::HV_STATUS_INVALID_HYPERCALL_INPUT;
        };
        let [connection, reserved, kind, len] = words(head);
        let invalid = reserved != 0 || kind == 0 || kind & MESSAGE_OF_HYPERVISOR != 0;
        let Some(payload) = payload.get(..len as usize).filter(|_| !invalid) else {
            return hv::HV_STATUS_INVALID_PARAMETER;
        };
        if !simple {
            return hv::HV_STATUS_INVALID_HYPERCALL_INPUT;
        }
        let Some(sint) = self.port(connection) else {
            return HV_STATUS_INVALID_CONNECTION_ID;
        };
        let message = Message {
            sint,
            kind,
            origin: connection.into(),
            payload: payload.to_vec(),
            timer: None,
        };
        self.vp().controller().post(message)
    }

    /// HvCallSignalEvent: a simple call, fast or not.
    pub(in crate::vmm) fn signal_event(&mut self, control: u64, input: &[u8]) -> u16 {
        let Some(input) = input.get(..SIGNAL) else {
            return hv::HV_STATUS_INVALID_HYPERCALL_INPUT;
        };
        if control >> hv::HYPERCALL_REP_COUNT_SHIFT != 0 {
            return hv::HV_STATUS_INVALID_HYPERCALL_INPUT;
        }
        let connection = u32::from_le_bytes([input[0], input[1], input[2], input[3]]);
        let flag = u16::from_le_bytes([input[4], input[5]]);
        if flag >= EVENT_FLAGS || input[6..] != [0; 2] {
            return hv::HV_STATUS_INVALID_PARAMETER;
        }
        match self.port(connection) {
            Some(sint) => self.vp().controller().signal(sint, flag),
            None => HV_STATUS_INVALID_CONNECTION_ID,
        }
    }

    /// The source that a connection leads to.
    fn port(&self, connection: u32) -> Option<u8> {
        let sint = connection.checked_sub(ECHO)?;
        let known = self.scenario.probing && (sint as usize) < SOURCES;
        known.then_some(sint as u8)
    }
}

impl Synic {
    /// Queues a guest's message.
    pub(super) fn post(&mut self, message: Message) -> u16 {
        if !self.enabled(self.message_page) {
            return HV_STATUS_INVALID_SYNIC_STATE;
        }
        let posted = |message: &&Message| message.timer.is_none();
        if self.messages.iter().filter(posted).count() == BUFFERS {
            return HV_STATUS_INSUFFICIENT_BUFFERS;
        }
        self.queue(message);
        hv::HV_STATUS_SUCCESS
    }

    /// Signals an event.
    pub(super) fn signal(&mut self, sint: u8, flag: u16) -> u16 {
        if !self.enabled(self.event_page) {
            return HV_STATUS_INVALID_SYNIC_STATE;
        }
        self.events.push((sint, flag));
        self.look = true;
        hv::HV_STATUS_SUCCESS
    }
}

fn words(bytes: &[u8; 16]) -> [u32; 4] {
    let word = |at: usize| u32::from_le_bytes([0, 1, 2, 3].map(|i| bytes[at * 4 + i]));
    [word(0), word(1), word(2), word(3)]
}
