//! Delivery: what the controller writes into the pages of SIMP and SIEFP. On hardware they overlay the guest's own
//! pages, or are pages that an isolated guest shares; here they are always the guest's own.

use super::{Interrupts, Message, Synic};
use crate::{
    memory::frames::{Memory, PAGE},
    platform::{Access, Technology},
    vmm::{Vmm, clocks},
};
use tessera_defs::hyperv::synic::*;

/// A page that the host may write.
type Page = [u8; PAGE];

impl Synic {
    /// Moves what waits into free slots of the message page (11.2): the first of each source, and the flag where
    /// another one waits.
    pub(super) fn messages_into(&mut self, page: &mut Page, now: u64, apic: &mut dyn Interrupts) {
        for sint in 0..SOURCES as u8 {
            let waits = |message: &Message| message.sint == sint;
            let Some(first) = self.messages.iter().position(waits) else {
                continue;
            };
            let slot = &mut page[usize::from(sint) * SLOT..][..SLOT];
            if slot[..4] != [0; 4] {
                slot[5] |= MESSAGE_PENDING;
                continue;
            }
            let Some(message) = self.messages.remove(first) else {
                continue;
            };
            let more = self.messages.iter().any(waits);
            fill(slot, &message, more, now);
            if let Some(timer) = message.timer {
                self.timers.sent(timer);
            }
            self.interrupt(sint, apic);
        }
    }

    /// Sets event flags; a flag that is set already asks for no interrupt (11.3).
    pub(super) fn events_into(&mut self, page: &mut Page, apic: &mut dyn Interrupts) {
        for (sint, flag) in core::mem::take(&mut self.events) {
            let byte = &mut page[usize::from(sint) * SLOT + usize::from(flag / 8)];
            let bit = 1 << (flag % 8);
            if *byte & bit == 0 {
                *byte |= bit;
                self.interrupt(sint, apic);
            }
        }
    }
}

fn fill(slot: &mut [u8], message: &Message, more: bool, now: u64) {
    let payload = &mut slot[MESSAGE_HEADER..][..message.payload.len()];
    payload.copy_from_slice(&message.payload);
    if message.timer.is_some() {
        payload[16..24].copy_from_slice(&now.to_le_bytes());
    }
    slot[4] = message.payload.len() as u8;
    slot[5] = if more { MESSAGE_PENDING } else { 0 };
    slot[6..8].fill(0);
    slot[8..16].copy_from_slice(&message.origin.to_le_bytes());
    // The type last: it says that the slot is full.
    slot[..4].copy_from_slice(&message.kind.to_le_bytes());
}

/// Of every processor, between two entries. A page that the host may not write keeps its messages waiting.
pub fn deliver(vmm: &mut Vmm, memory: &mut Memory, technology: &dyn Technology) {
    let (time, boundary) = (vmm.now(), vmm.boundary());
    let now = clocks::reference(time);
    let mut write = |synic: &mut Synic, interrupts: &mut dyn Interrupts| {
        synic.look = false;
        let frame = |register: u64| {
            let enabled = synic.enabled(register);
            let gpa = Some(register & !0xFFF & !boundary).filter(|_| enabled)?;
            technology.host_access(memory, gpa, Access::Write)
        };
        let [messages, events] = [synic.message_page, synic.event_page].map(frame);
        if let Some(page) = messages.and_then(|frame| memory.page(frame)) {
            synic.messages_into(page, now, interrupts);
        }
        if let Some(page) = events.and_then(|frame| memory.page(frame)) {
            synic.events_into(page, interrupts);
        }
    };
    for vp in &mut vmm.vps {
        vp.tick(time);
        if vp.lower.looks() {
            write(&mut vp.lower, &mut vp.proxied);
        }
        vp.proxy();
        if vp.synic.looks() {
            write(&mut vp.synic, &mut vp.apic);
        }
    }
}
