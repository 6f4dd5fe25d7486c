//! The #HV doorbell page and #HV IPIs. Source: 56421 rev. 2.04, events 8000_0014h and 8000_0015h.

use super::{Served, Snp, Stop};
use crate::{
    memory::frames::{Memory, PAGE},
    platform::{Access, Technology},
    silicon::snp::injection::Injection,
    vmm::Vmm,
};
use tessera_defs::{
    snp::{
        doorbell::{NONE, VECTOR, request},
        ghcb::{GhcbPage, answer, malformed},
        vc::event,
    },
    x86::x2apic,
};

const INVALID: Served = Err(Stop::Malformed(malformed::INPUT));

impl Snp {
    /// Sets, asks for or clears the page; a request that is refused clears it.
    pub(super) fn doorbell(&mut self, memory: &Memory, wanted: &GhcbPage) -> Served {
        let gpa = wanted.sw_exit_info2;
        let good = gpa.is_multiple_of(PAGE as u64)
            && self.host_access(memory, gpa, Access::Write).is_some();
        let Some(context) = &mut self.vp.contexts[self.vp.current] else {
            return INVALID;
        };
        let now = match wanted.sw_exit_info1 {
            request::PREFERRED => return Ok((answer::OK, NONE, None)),
            request::QUERY => context.doorbell,
            request::SET if good => Some(gpa),
            request::CLEAR => None,
            _ => {
                context.doorbell = None;
                return INVALID;
            }
        };
        context.doorbell = now;
        Ok((answer::OK, now.unwrap_or(NONE), None))
    }

    /// Before an entry: what waits for a restricted context goes by the page, and #HV says so. Without a
    /// page, or with one that is private now, it waits.
    pub(in super::super) fn ring(&mut self, vmm: &mut Vmm, memory: &mut Memory) {
        let context = self.vp.contexts[0].as_ref();
        let rings = context.filter(|context| {
            let pending = context.vcpu.vmcb.control.event_inj & event::VALID != 0;
            context.injection == Injection::Restricted && !pending
        });
        let gpa = rings.and_then(|context| context.doorbell);
        let Some(gpa) = gpa.filter(|_| self.vp.current == 0) else {
            return;
        };
        let frame = self.host_access(memory, gpa, Access::Write);
        let page = frame.and_then(|frame| memory.page(frame));
        let signal = page.is_some_and(|page| vmm.ring(page));
        if let Some(context) = self.vp.contexts[0].as_mut().filter(|_| signal) {
            context.vcpu.inject_exception(VECTOR, None);
        }
    }

    /// An interrupt command without the APIC.
    pub(super) fn send_ipi(&mut self, vmm: &mut Vmm, request: &GhcbPage) -> Served {
        match vmm.write_msr(x2apic::ICR, request.sw_exit_info1) {
            Some(()) => super::DONE,
            None => INVALID,
        }
    }
}
