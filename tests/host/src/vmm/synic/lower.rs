//! The controller of a paravisor's guest: its pages and sources are the hypervisor's, its APIC is the paravisor's.
//! What asks for an interrupt becomes a message in the paravisor's SINT0 (decision 025); what the paravisor sets of it
//! comes by HvCallSetVpRegisters.

use super::{BUFFERS, ENABLE, Interrupts, Message, Synic};
use crate::vmm::{Vmm, lies, missing::Request, vp::Vp};
use alloc::vec::Vec;
use tessera_defs::hyperv::{self as hv, synic::*};

/// First word of a proxy interrupt's payload that names many; the guest's level is 0.
const MULTIPLE: u32 = 1 << (8 * PROXY_MULTIPLE);
const _: () = assert!(PROXY_LEVEL == 0 && PROXY_VECTORS == 4);

/// Interrupts of which the paravisor has not heard yet: a bit each.
#[derive(Clone, Debug, Default)]
pub struct Proxied([u32; 8]);

impl Interrupts for Proxied {
    fn request(&mut self, vector: u8) {
        self.0[usize::from(vector) / 32] |= 1 << (vector % 32);
    }

    /// An APIC that the hypervisor does not have ends nothing by itself.
    fn end_at_once(&mut self, _: &mut dyn Iterator<Item = u8>) {}
}

impl Proxied {
    fn waits(&self) -> bool {
        self.0 != [0; 8]
    }

    /// The message that names all of them.
    fn message(&mut self) -> Message {
        let bits = core::mem::take(&mut self.0);
        let mut set = (0..256u32).filter(|n| bits[*n as usize / 32] >> (n % 32) & 1 == 1);
        let words = match (set.next(), set.next()) {
            (Some(vector), None) => [0, vector, 0, 0, 0, 0, 0, 0, 0],
            _ => {
                let [a, b, c, d, e, f, g, h] = bits;
                [MULTIPLE, a, b, c, d, e, f, g, h]
            }
        };
        message(MESSAGE_PROXY_INTERRUPT, &words)
    }
}

fn message(kind: u32, words: &[u32; PROXY_INTERRUPT / 4]) -> Message {
    let payload: Vec<u8> = words.iter().flat_map(|word| word.to_le_bytes()).collect();
    Message {
        sint: SINT_INTERCEPTION,
        kind,
        origin: 0,
        payload,
        timer: None,
    }
}

impl Synic {
    /// A paravisor that has taken its last message can hear the next one.
    fn hears(&self) -> bool {
        let mut waiting = self.messages.iter();
        self.enabled(self.message_page) && !waiting.any(|message| message.sint == SINT_INTERCEPTION)
    }
}

impl Vp {
    /// The controller of the context that asks.
    pub fn controller(&mut self) -> &mut Synic {
        match self.below {
            true => &mut self.lower,
            false => &mut self.synic,
        }
    }

    /// Messages, events or interrupts of one of its controllers are to be looked for.
    pub fn looks(&self) -> bool {
        let proxies = self.proxied.waits() && self.synic.hears();
        self.synic.looks() || self.lower.looks() || proxies
    }

    /// The paravisor hears of its guest's interrupts; those that come before it has taken the message wait for the
    /// next one.
    pub(super) fn proxy(&mut self) {
        if self.proxied.waits() && self.synic.hears() {
            let message = self.proxied.message();
            self.synic.queue(message);
        }
    }
}

impl Vmm {
    /// Sets a register of the controller below the processor whose turn it is: the hypercall's status. `shared` says
    /// of an address whether the host may write there.
    pub fn set_lower(&mut self, name: u32, value: u128, shared: impl Fn(u64) -> bool) -> u16 {
        let sources = REGISTER_SINT0..REGISTER_SINT0 + SOURCES as u32;
        let timers = REGISTER_STIMER0_CONFIG..REGISTER_STIMER0_CONFIG + 2 * TIMERS as u32;
        let msr = match name {
            REGISTER_SCONTROL => MSR_SCONTROL,
            REGISTER_SIFP => MSR_SIEFP,
            REGISTER_SIPP => MSR_SIMP,
            REGISTER_EOM => MSR_EOM,
            name if sources.contains(&name) => MSR_SINT0 + name - sources.start,
            name if timers.contains(&name) => MSR_STIMER0_CONFIG + name - timers.start,
            name => {
                self.missed(Request::Register(name));
                return hv::HV_STATUS_INVALID_PARAMETER;
            }
        };
        let Ok(value) = u64::try_from(value) else {
            return hv::HV_STATUS_INVALID_REGISTER_VALUE;
        };
        let page = value & !0xFFF & !self.boundary();
        if [MSR_SIEFP, MSR_SIMP].contains(&msr) && value & ENABLE != 0 && !shared(page) {
            return hv::HV_STATUS_INVALID_REGISTER_VALUE;
        }
        let below = core::mem::replace(&mut self.vp().below, true);
        let done = self.set_synic(msr, value);
        self.vp().below = below;
        match done {
            Some(()) => hv::HV_STATUS_SUCCESS,
            None => hv::HV_STATUS_INVALID_REGISTER_VALUE,
        }
    }

    /// An interrupt message of a device to a processor of the paravisor's guest.
    pub(in crate::vmm) fn proxy(&mut self, to: u32, vector: u8) {
        if let Some(vp) = self.vps.get_mut(to as usize) {
            vp.proxied.request(vector);
        }
    }

    /// The bit that makes an address of a guest with vTOM a shared one. (A TD's is taken off with every address.)
    pub fn boundary(&self) -> u64 {
        match self.scenario.mode {
            tessera_defs::mode::Mode::SnpParavisor => 1 << tessera_defs::snp::status::VTOM_BIT,
            _ => 0,
        }
    }

    /// A controller may have something to deliver, or a timer to expire.
    pub fn has_deliveries(&mut self) -> bool {
        self.proxy_any();
        let due = |vp: &Vp| vp.synic.timers.armed() || vp.lower.timers.armed() || vp.looks();
        self.vps.iter().any(due)
    }

    /// A lying host tells the paravisor of interrupts that no source asked for, and of what is no message of its kind.
    fn proxy_any(&mut self) {
        if !self.scenario.lies(lies::PROXY_ANY) || !self.random().is_multiple_of(64) {
            return;
        }
        let random = self.random() as u32;
        let all = u32::MAX;
        // But for those that our kernel asks for (0x68 to 0x6F): a host may invent these.
        let (asked, one) = (0xFF00, random % 0x180);
        let one = if (0x68..0x70).contains(&one) {
            0x80
        } else {
            one
        };
        let lie = match random % 4 {
            0 => message(
                MESSAGE_PROXY_INTERRUPT,
                &[MULTIPLE, all, all, all, !asked, all, all, all, all],
            ),
            1 => message(MESSAGE_PROXY_INTERRUPT, &[0, one, all, 0, 0, 0, 0, 0, 0]),
            2 => message(MESSAGE_TIMER_EXPIRED, &[random; 9]),
            _ => message(random, &[all; 9]),
        };
        let mut told = 0;
        for vp in &mut self.vps {
            if vp.synic.hears() && vp.synic.messages.len() < BUFFERS {
                vp.synic.queue(lie.clone());
                told += 1;
            }
        }
        (0..told).for_each(|_| self.tell());
    }
}

#[cfg(test)]
#[path = "lower_tests.rs"]
mod tests;
