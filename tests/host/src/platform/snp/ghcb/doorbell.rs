//! The #HV doorbell page and #HV IPIs. Source: 56421 rev. 2.04, events 8000_0014h and 8000_0015h.

use super::{Served, Snp, Stop};
use crate::{
    memory::frames::{Memory, PAGE},
    platform::{Access, Technology},
    vmm::Vmm,
};
use tessera_defs::{
    snp::{
        doorbell::{NONE, request},
        ghcb::{GhcbPage, answer, malformed},
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

    /// An interrupt command without the APIC.
    pub(super) fn send_ipi(&mut self, vmm: &mut Vmm, request: &GhcbPage) -> Served {
        match vmm.write_msr(x2apic::ICR, request.sw_exit_info1) {
            Some(()) => super::DONE,
            None => INVALID,
        }
    }
}
