//! A virtual processor of an SNP guest: a context for each VMPL; and how it starts: by AP creation
//! (56421 rev. 2.04, 4.1.9), or Hyper-V's start call, which names the same save area.

use super::{Context, Snp};
use crate::{
    memory::frames::{Memory, PAGE},
    report::End,
    vmm::{
        Vmm, lies,
        vp::{Activity, Start},
    },
};
use alloc::boxed::Box;
use tessera_defs::{
    breach, hyperv as hv, mode::HostProfile, snp::status::features, start_vp::StartVpInput,
};

/// SEV_FEATURES by which events reach a context.
const INJECTION: u64 = features::RESTRICTED_INJECTION | features::ALTERNATE_INJECTION;

/// One of them.
#[derive(Debug, Default)]
pub struct Processor {
    /// By VMPL.
    pub contexts: [Option<Box<Context>>; 4],
    /// VMPL that runs.
    pub current: usize,
    /// Save area that runs from the next INIT on: VMPL and frame.
    pub on_init: Option<(usize, u32)>,
}

/// What a request creates.
#[derive(Clone, Copy, Debug)]
pub struct Creation {
    /// Processor.
    pub vp: usize,
    /// VMPL.
    pub vmpl: usize,
    /// Address of the save area.
    pub gpa: u64,
    /// SEV_FEATURES, where the request says them.
    pub features: Option<u64>,
    /// Not now, but at INIT.
    pub on_init: bool,
}

impl Snp {
    /// The processor whose turn it is comes into hand; what it is to begin with happens.
    pub(super) fn take_turn(&mut self, vmm: &mut Vmm, memory: &mut Memory) -> Result<(), End> {
        if self.others.current() != vmm.current() {
            if let Some(context) = &mut self.vp.contexts[self.vp.current] {
                (vmm.machine.save_fpu)(&mut context.vcpu);
            }
            self.others.switch(&mut self.vp, vmm.current());
            if let Some(context) = &self.vp.contexts[self.vp.current] {
                (vmm.machine.load_fpu)(&context.vcpu);
            }
        }
        match vmm.vp().start.take() {
            Some(Start::Init) => self.initialise(vmm, memory),
            // The answer to the hold was written when it began.
            Some(Start::Startup(_)) if vmm.vp().activity == Activity::ResetHold => {
                vmm.vp().activity = Activity::Runs;
                Ok(())
            }
            Some(_) => {
                // VMRUN of a save area that is in use, or anywhere else than it says.
                vmm.stopped();
                Ok(())
            }
            None => Ok(()),
        }
    }

    /// INIT does nothing to a save area: it only begins what the guest prepared.
    fn initialise(&mut self, vmm: &mut Vmm, memory: &mut Memory) -> Result<(), End> {
        let Some((vmpl, frame)) = self.vp.on_init.take() else {
            return Ok(());
        };
        let invalid = End::Breach(&breach::VMSA_INVALID);
        let count = vmm.vps.len();
        let context = Context::new(memory, self.bitmaps, frame, vmpl, count).ok_or(invalid)?;
        let vp = vmm.current();
        self.begin(vmm, vp, vmpl, context);
        Ok(())
    }

    /// Creates a context. Errors: the guest's breach.
    pub(super) fn create(
        &mut self,
        vmm: &mut Vmm,
        memory: &mut Memory,
        wanted: Creation,
    ) -> Result<(), End> {
        let invalid = End::Breach(&breach::VMSA_INVALID);
        let frame = memory.frame(wanted.gpa / PAGE as u64).ok_or(invalid)?;
        let entry = self.rmp.get(frame);
        if !entry.vmsa || !entry.validated || !wanted.gpa.is_multiple_of(PAGE as u64) {
            return Err(invalid);
        }
        let count = vmm.vps.len();
        let context = Context::new(memory, self.bitmaps, frame, wanted.vmpl, count);
        let context = context.ok_or(invalid)?;
        if wanted.features.is_some_and(|said| said != context.features) {
            return Err(End::Breach(&breach::SEV_FEATURES_DIFFER));
        }
        // KVM has one way of injection for all processors in VMPL 0, that of the launch.
        let kvm = vmm.scenario.profile == HostProfile::Kvm && wanted.vmpl == 0;
        if kvm && (context.features ^ self.features) & INJECTION != 0 {
            return Err(End::Breach(&breach::SEV_FEATURES_DIFFER));
        }
        if self.runs(vmm, wanted.vp, wanted.vmpl) {
            return Err(End::Breach(&breach::PROCESSOR_RUNS));
        }
        if self.in_use(vmm, frame) {
            return Err(End::Breach(&breach::VMSA_IN_USE));
        }
        if wanted.on_init {
            self.processor(wanted.vp, |vp| {
                vp.on_init = Some((wanted.vmpl, frame));
            });
            return Ok(());
        }
        self.begin(vmm, wanted.vp, wanted.vmpl, context);
        Ok(())
    }

    /// A context may run from now on; in the lowest VMPL that the processor has, it does.
    fn begin(&mut self, vmm: &mut Vmm, vp: usize, vmpl: usize, mut context: Context) {
        context.hear_of_nmis(vmm.scenario.profile);
        let mut lowest = false;
        self.processor(vp, |processor| {
            lowest = processor.contexts[..vmpl].iter().all(Option::is_none);
            processor.contexts[vmpl] = Some(Box::new(context));
            if lowest {
                processor.current = vmpl;
            }
        });
        if !lowest || vmm.vps[vp].activity == Activity::Runs {
            return;
        }
        if vmm.tells(lies::PROCESSOR_WITHHELD) {
            return;
        }
        // The registers are the save area's, which is the guest's own.
        if vmm.scenario.lies(lies::PROCESSOR_OTHER) {
            vmm.stopped();
        }
        vmm.vps[vp].activity = Activity::Runs;
        vmm.started_on(vp, Start::Startup(0));
    }

    /// Destroys a context. Errors: one that runs.
    pub(super) fn destroy(&mut self, vmm: &mut Vmm, vp: usize, vmpl: usize) -> Result<(), End> {
        if vp == vmm.current() && vmpl == self.vp.current {
            return Err(End::Breach(&breach::PROCESSOR_RUNS));
        }
        let mut last = false;
        self.processor(vp, |processor| {
            processor.contexts[vmpl] = None;
            processor.on_init = None;
            last = processor.current == vmpl;
        });
        if last {
            vmm.vps[vp].activity = Activity::Absent;
        }
        Ok(())
    }

    /// HvCallStartVirtualProcessor: the status. The context runs in the caller's VMPL.
    pub(super) fn start_vp(
        &mut self,
        vmm: &mut Vmm,
        memory: &mut Memory,
        start: &StartVpInput,
    ) -> Result<u16, End> {
        let area = start.context.rip;
        if area & 1 == 0 {
            // Registers in the clear: nobody could set them.
            return Ok(hv::HV_STATUS_INVALID_PARAMETER);
        }
        let wanted = Creation {
            vp: start.vp_index as usize,
            vmpl: self.vp.current,
            gpa: area & !1,
            features: None,
            on_init: false,
        };
        vmm.note("start-vp");
        self.create(vmm, memory, wanted)
            .map(|()| hv::HV_STATUS_SUCCESS)
    }

    /// The context executes: a halted one may be replaced.
    fn runs(&mut self, vmm: &Vmm, vp: usize, vmpl: usize) -> bool {
        let mut there = false;
        self.processor(vp, |processor| {
            there = processor.contexts[vmpl].is_some() && processor.current == vmpl;
        });
        there && (vmm.vps[vp].activity == Activity::Runs || vp == vmm.current())
    }

    /// Whether a frame is the save area of a context that its processor would go on with.
    pub(super) fn in_use(&mut self, vmm: &Vmm, frame: u32) -> bool {
        (0..vmm.vps.len()).any(|vp| {
            let mut used = false;
            self.processor(vp, |processor| {
                let context = processor.contexts[processor.current].as_ref();
                used = context.is_some_and(|context| context.frame == frame);
            });
            used && vmm.vps[vp].activity != Activity::Absent
        })
    }

    /// Does something to a processor, wherever it is.
    fn processor(&mut self, vp: usize, act: impl FnOnce(&mut Processor)) {
        if vp == self.others.current() {
            act(&mut self.vp);
        } else if let Some(processor) = self.others.other(vp) {
            act(processor);
        }
    }
}
