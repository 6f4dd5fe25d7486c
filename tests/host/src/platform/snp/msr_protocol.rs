//! VMGEXIT: the GHCB MSR protocol, and the way to the GHCB page. Source: 56421 rev. 2.04, 2.3.1.

use super::Snp;
use crate::{
    memory::frames::{Memory, PAGE},
    platform::Step,
    report::End,
    vmm::{Vmm, lies, vp::Activity},
};
use tessera_defs::{
    breach,
    mode::Mode,
    snp::{ghcb, ghcb_msr as proto, status},
};

/// Error code 1 in bits 63:32 of a response.
const FAILED: u64 = 1 << 32;

impl Snp {
    /// VMGEXIT: the host sees the GHCB MSR and what it names.
    pub(super) fn vmgexit(&mut self, vmm: &mut Vmm, memory: &mut Memory, length: u64) -> Step {
        vmm.note("vmgexit");
        self.attack(vmm, memory);
        let Some(context) = &mut self.vp.contexts[self.vp.current] else {
            return Step::Continue;
        };
        context.vcpu.skip(length);
        let request = context.ghcb_msr;
        if request & proto::INFO_MASK == 0 {
            // Below a boundary the address is one of the shared half.
            let (gpa, _) = context.view.split(request);
            return self.ghcb_page(vmm, memory, gpa);
        }
        match self.msr_request(vmm, memory, request) {
            Ok((reply, next)) => {
                let cpuid = request & proto::INFO_MASK == proto::CPUID_REQUEST;
                let lied = cpuid && vmm.tells(lies::GHCB_OUT_OF_RANGE);
                let reply = if lied { reply ^ 1 << 12 } else { reply };
                if let Some(context) = &mut self.vp.contexts[self.vp.current] {
                    context.ghcb_msr = reply;
                }
                self.run_next(vmm, memory, next)
            }
            Err(end) => Step::End(end),
        }
    }

    /// Runs the VMPL that a request asked for, after the reply was written.
    pub(super) fn run_next(
        &mut self,
        vmm: &mut Vmm,
        memory: &mut Memory,
        next: Option<usize>,
    ) -> Step {
        let Some(next) = next else {
            return Step::Continue;
        };
        if vmm.scenario.lies(lies::SPURIOUS_WAKE) && vmm.random().is_multiple_of(3) {
            vmm.tell();
            return Step::Continue;
        }
        match self.switch(vmm, memory, next) {
            true => Step::Continue,
            false => Step::End(End::Breach(&breach::VMSA_INVALID)),
        }
    }

    /// Checks a request to run a VMPL: only VMPL 0 may, and only what was registered.
    pub(super) fn may_run(&self, vmm: &mut Vmm, vmpl: u64) -> Result<usize, End> {
        vmm.note("run-vmpl");
        let vmpl = vmpl as usize;
        let registered = self.vp.contexts.get(vmpl).is_some_and(Option::is_some);
        match self.vp.current == 0 && vmpl != 0 && registered {
            true => Ok(vmpl),
            false => Err(End::Breach(&breach::RUN_VMPL_DENIED)),
        }
    }

    fn msr_request(
        &mut self,
        vmm: &mut Vmm,
        memory: &mut Memory,
        request: u64,
    ) -> Result<(u64, Option<usize>), End> {
        let data = request & !proto::INFO_MASK;
        let reply = match request & proto::INFO_MASK {
            proto::SEV_INFO_REQUEST => {
                2 << 48 | 1 << 32 | u64::from(status::C_BIT) << 24 | proto::SEV_INFO_RESPONSE
            }
            proto::CPUID_REQUEST => {
                let leaf = (request >> 32) as u32;
                let values = vmm.cpuid(leaf, (vmm.machine.cpuid)(leaf, 0));
                let register = request >> 30 & 3;
                u64::from(values[register as usize]) << 32 | register << 30 | proto::CPUID_RESPONSE
            }
            proto::PREFERRED_GHCB_REQUEST => !proto::INFO_MASK | proto::PREFERRED_GHCB_RESPONSE,
            proto::REGISTER_GHCB_REQUEST => {
                return self.register(vmm, memory, data).map(|r| (r, None));
            }
            proto::PSC_REQUEST => self.one_page(vmm, memory, request)?,
            proto::RUN_VMPL_REQUEST => match self.may_run(vmm, request >> 32 & 0xFF) {
                Ok(vmpl) => return Ok((proto::RUN_VMPL_RESPONSE, Some(vmpl))),
                Err(_) if vmm.scenario.probing => FAILED | proto::RUN_VMPL_RESPONSE,
                Err(end) => return Err(end),
            },
            proto::HV_FEATURES_REQUEST => features(vmm) << 12 | proto::HV_FEATURES_RESPONSE,
            proto::AP_RESET_HOLD_REQUEST => {
                vmm.vp().activity = Activity::ResetHold;
                1 << 12 | proto::AP_RESET_HOLD_RESPONSE
            }
            proto::TERMINATE => {
                let set = (request >> 12 & 0xF) as u8;
                return Err(End::Terminated {
                    set,
                    code: request >> 16 & 0xFF,
                });
            }
            // As KVM has it: the register stays as it is.
            _ if vmm.scenario.probing => request,
            _ => return Err(End::Breach(&breach::GHCB_MSR_UNKNOWN)),
        };
        Ok((reply, None))
    }

    fn register(&mut self, vmm: &Vmm, memory: &Memory, gpa: u64) -> Result<u64, End> {
        let frame = memory.frame(gpa / PAGE as u64);
        let wrong = match frame {
            None => Some(End::Breach(&breach::OUT_OF_RANGE)),
            Some(frame) if self.rmp.get(frame).assigned => Some(not_shared(vmm)),
            Some(_) => None,
        };
        match wrong {
            Some(_) if vmm.scenario.probing => {
                return Ok(!proto::INFO_MASK | proto::REGISTER_GHCB_RESPONSE);
            }
            Some(end) => return Err(end),
            None => {}
        }
        if let Some(context) = &mut self.vp.contexts[self.vp.current] {
            context.registered = Some(gpa);
        }
        Ok(gpa | proto::REGISTER_GHCB_RESPONSE)
    }

    fn one_page(&mut self, vmm: &mut Vmm, memory: &mut Memory, request: u64) -> Result<u64, End> {
        vmm.note("psc");
        let shared = match request >> 52 {
            proto::PSC_PRIVATE => false,
            proto::PSC_SHARED => true,
            _ if vmm.scenario.probing => return Ok(FAILED | proto::PSC_RESPONSE),
            _ => return Err(End::Breach(&breach::PSC_MALFORMED)),
        };
        let gfn = (request & ((1 << 52) - 1)) >> 12;
        let done = self.change(vmm, memory, gfn, false, shared);
        Ok(u64::from(!done) << 32 | proto::PSC_RESPONSE)
    }
}

/// A GHCB that is not shared: the guest's breach, unless the vmm lied about sharing it.
pub(super) fn not_shared(vmm: &Vmm) -> End {
    match vmm.scenario.lies(lies::PSC_LIES) {
        true => End::Denied(lies::PSC_LIES),
        false => End::Breach(&breach::GHCB_NOT_SHARED),
    }
}

/// Hypervisor features: SNP, AP creation, restricted injection; several VMPLs where the platform is configured for
/// a paravisor.
pub(super) fn features(vmm: &Vmm) -> u64 {
    let hidden = vmm.tells(lies::NO_MULTI_VMPL);
    let multi = vmm.scenario.mode == Mode::SnpParavisor && !hidden;
    let several = if multi {
        proto::hv_features::MULTI_VMPL
    } else {
        0
    };
    proto::hv_features::SNP
        | proto::hv_features::AP_CREATION
        | proto::hv_features::RESTRICTED_INJECTION
        | several
}

/// Version of the GHCB page protocol that is spoken.
pub(super) const VERSIONS: core::ops::RangeInclusive<u16> = 1..=ghcb::PROTOCOL_VERSION;
