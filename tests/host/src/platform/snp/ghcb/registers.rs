//! HvCallSetVpRegisters: the registers of a lower context that its paravisor sets. The GHCB's is one that the
//! processor loads into the context's GHCB MSR; the others are the synthetic interrupt controller's.

use super::Snp;
use crate::{
    memory::frames::Memory,
    platform::{Access, Technology},
    vmm::{Vmm, hypercall::repeated, registers::SetRegisters},
};
use tessera_defs::{
    hyperv::{
        HV_STATUS_ACCESS_DENIED, HV_STATUS_INVALID_PARAMETER, HV_STATUS_INVALID_REGISTER_VALUE,
        HV_STATUS_INVALID_VTL_STATE, HV_STATUS_SUCCESS, REGISTER_GHCB,
    },
    snp::ghcb_msr::{INFO_MASK, REGISTER_GHCB_REQUEST},
};

/// VMPL of each VTL.
const VMPL: [usize; 3] = [2, 1, 0];

impl Snp {
    /// Sets them in order: the result value.
    pub(super) fn set_registers(
        &mut self,
        vmm: &mut Vmm,
        memory: &Memory,
        set: &SetRegisters,
    ) -> u64 {
        vmm.note("set-vp-registers");
        let vmpl = VMPL[usize::from(set.vtl.min(2))];
        if vmpl <= self.vp.current {
            return repeated(HV_STATUS_ACCESS_DENIED, 0);
        }
        set.each(|name, value| match (name, set.vtl) {
            (REGISTER_GHCB, _) => self.set_ghcb(memory, vmpl, value as u64),
            (name, 0) => vmm.set_lower(name, value, |gpa| {
                self.host_access(memory, gpa, Access::Write).is_some()
            }),
            _ => HV_STATUS_INVALID_VTL_STATE,
        })
    }

    fn set_ghcb(&mut self, memory: &Memory, vmpl: usize, value: u64) -> u16 {
        let Some(context) = &self.vp.contexts[vmpl] else {
            return HV_STATUS_INVALID_PARAMETER;
        };
        let address = value & !INFO_MASK;
        let (gpa, _) = context.view.split(address);
        let shared = self.host_access(memory, gpa, Access::Write).is_some();
        if value & INFO_MASK != REGISTER_GHCB_REQUEST || !shared {
            return HV_STATUS_INVALID_REGISTER_VALUE;
        }
        if let Some(context) = &mut self.vp.contexts[vmpl] {
            (context.ghcb_msr, context.registered) = (address, Some(gpa));
        }
        HV_STATUS_SUCCESS
    }
}
