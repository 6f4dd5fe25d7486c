//! SEV-SNP: the run loop. `exits` is what silicon does with an exit, `msr_protocol` and
//! `ghcb` what the vmm answers, `visibility` how the vmm changes pages.

mod code;
mod context;
mod exits;
mod ghcb;
mod guest_request;
mod launch;
mod msr_protocol;
mod pages;
mod processor;
mod reset;
#[cfg(test)]
mod tests;
mod visibility;

use super::{Access, LaunchPage, Step, Technology, enter, processors::Processors};
use crate::{
    memory::{
        frames::{Memory, PAGE},
        walk,
    },
    report::End,
    silicon::snp::{
        access::Seen,
        injection::Injection,
        launch::LaunchDigest,
        messages::{Issued, SecurityProcessor},
        report::Guest,
        rmp::Rmp,
    },
    svm::bitmaps::Bitmaps,
    vmm::{Vmm, vp::Activity},
};
use alloc::{boxed::Box, string::String, vec::Vec};
use context::Context;
use processor::Processor;

/// An SNP guest; `vp` is the processor whose turn it is.
#[derive(Debug)]
pub struct Snp {
    rmp: Rmp,
    digest: LaunchDigest,
    vp: Processor,
    others: Processors<Processor>,
    bitmaps: &'static Bitmaps,
    secrets: Option<u32>,
    cpuid: Option<u32>,
    accepted: u64,
    shared: u64,
    double_validation: bool,
    /// Frames that were shared at some time.
    exposed: Vec<u32>,
    /// VMPCK 0 and 1: never to be seen in shared memory, nor by a lower VMPL.
    keys: [[u8; 32]; 2],
    /// Guest policy of the launch.
    policy: u64,
    /// SEV_FEATURES of the launch.
    features: u64,
    processor: SecurityProcessor,
    /// The last response, which a host may give again.
    old_response: Option<Box<[u8; PAGE]>>,
}

impl Snp {
    /// A guest that is not launched yet.
    pub fn new(memory: &Memory) -> Self {
        Self {
            rmp: Rmp::new(memory.frames()),
            digest: LaunchDigest::default(),
            vp: Processor::default(),
            others: Processors::default(),
            bitmaps: Box::leak(Bitmaps::new()),
            secrets: None,
            cpuid: None,
            accepted: 0,
            shared: 0,
            double_validation: false,
            exposed: Vec::with_capacity(64),
            keys: [[0; 32]; 2],
            policy: 0,
            features: 0,
            processor: SecurityProcessor::new([[0; 32]; 4], Guest::default()),
            old_response: None,
        }
    }

    /// Makes another VMPL run next. `false` where it has no context.
    fn switch(&mut self, vmm: &Vmm, memory: &mut Memory, vmpl: usize) -> bool {
        if vmpl == self.vp.current {
            return true;
        }
        match self.vp.contexts.get(vmpl) {
            // The host runs VMPL 0 again, which has to take the event.
            Some(Some(context)) if context.busy(memory) => return true,
            Some(Some(_)) => {}
            _ => return false,
        }
        if let Some(context) = &mut self.vp.contexts[self.vp.current] {
            (vmm.machine.save_fpu)(&mut context.vcpu);
            context.store(memory);
        }
        self.vp.current = vmpl;
        match &mut self.vp.contexts[vmpl] {
            Some(context) => {
                let loaded = context.load(memory);
                (vmm.machine.load_fpu)(&context.vcpu);
                loaded
            }
            None => false,
        }
    }
}

impl Technology for Snp {
    fn policy(&mut self, policy: u64) {
        self.policy = policy;
    }

    fn add_page(&mut self, memory: &mut Memory, page: &LaunchPage<'_>) -> Result<(), String> {
        self.launch_page(memory, page)
    }

    fn finish(&mut self, vmm: &mut Vmm, memory: &mut Memory) -> Result<Option<String>, String> {
        self.finish_launch(vmm, memory).map(Some)
    }

    fn step(&mut self, vmm: &mut Vmm, memory: &mut Memory) -> Step {
        if let Err(end) = self.take_turn(vmm, memory) {
            return Step::End(end);
        }
        if vmm.vp().activity != Activity::Runs {
            return Step::Continue;
        }
        let current = self.vp.current;
        vmm.vp().below = current != 0;
        self.ring(vmm, memory);
        let Some(context) = &mut self.vp.contexts[current] else {
            return Step::End(End::Breach(&tessera_defs::breach::VMSA_INVALID));
        };
        let mut seen = Seen {
            view: context.view,
            rmp: &self.rmp,
            memory,
        };
        if vmm.scenario.inject_lower == (current != 0) {
            match context.injection {
                Injection::Open => enter::inject(vmm, &mut context.vcpu),
                Injection::Restricted if enter::note(vmm, &mut context.vcpu) => {
                    match context.injection.takes(&mut context.vcpu) {
                        true => vmm.tell(),
                        false => vmm.stopped(),
                    }
                }
                Injection::Restricted => {}
                // The host's EVENTINJ is not looked at.
                Injection::Alternate if vmm.injection(&context.vcpu).is_some() => vmm.stopped(),
                Injection::Alternate => {}
            }
            if let Some(virt) = vmm.trap_page(&context.vcpu) {
                let found = walk::translate(&context.vcpu.vmcb.save, &mut seen, virt);
                found.into_iter().for_each(|at| context.npt.forget(at.gpa));
            }
        }
        let entered = match (current, context.injection) {
            (0, Injection::Restricted | Injection::Alternate) => {
                enter::enter_with_event(vmm, &mut context.vcpu, &mut seen)
            }
            _ => enter::enter(vmm, &mut context.vcpu, &mut seen, current == 0),
        };
        if let Err(end) = entered {
            return Step::End(end);
        }
        if let Some(context) = &mut self.vp.contexts[current] {
            context.note_paging();
        }
        let step = self.exit(vmm, memory);
        let over = vmm.end.is_some() || matches!(step, Step::End(_));
        if over && self.leaked(memory) {
            return Step::End(End::Breach(&tessera_defs::breach::PRIVATE_DATA_SHARED));
        }
        match vmm.end {
            Some(End::Shutdown) if self.double_validation => {
                Step::End(End::Breach(&tessera_defs::breach::DOUBLE_VALIDATION))
            }
            _ => step,
        }
    }

    fn host_access(&self, memory: &Memory, gpa: u64, _access: Access) -> Option<u32> {
        let frame = memory.frame(gpa / PAGE as u64)?;
        (!self.rmp.get(frame).assigned).then_some(frame)
    }

    fn rip(&self) -> u64 {
        self.vp.contexts[self.vp.current]
            .as_ref()
            .map_or(0, |context| context.vcpu.vmcb.save.rip)
    }

    fn pages(&self) -> (u64, u64) {
        (self.accepted, self.shared)
    }

    fn reports(&self) -> &[Issued] {
        self.processor.issued()
    }
}
