//! How a processor of a plain machine starts: INIT and a startup IPI, or a hypervisor's call.

use super::Plain;
use crate::{
    platform::Step,
    report::End,
    vmm::{
        Vmm, lies, start,
        vp::{Activity, Start},
    },
};
use tessera_defs::{breach, hyperv as hv, start_vp::StartVpInput};

impl Plain {
    /// The processor whose turn it is comes into hand, with what it is to begin with.
    pub(super) fn take_turn(&mut self, vmm: &mut Vmm) -> Step {
        if self.others.current() != vmm.current() {
            (vmm.machine.save_fpu)(&mut self.vcpu);
            self.others.switch(&mut self.vcpu, vmm.current());
            (vmm.machine.load_fpu)(&self.vcpu);
        }
        match vmm.vp().start.take() {
            Some(start) => self.start(vmm, start),
            None => Step::Continue,
        }
    }

    fn start(&mut self, vmm: &mut Vmm, begin: Start) -> Step {
        if let Start::Init | Start::Startup(_) = begin {
            let signature = vmm.cpuid(1, (vmm.machine.cpuid)(1, 0))[0];
            self.vcpu.init(signature);
            vmm.vp().apic.reset();
        }
        if vmm.vp().activity == Activity::Runs {
            vmm.tells(lies::PROCESSOR_TWICE);
        }
        vmm.vp().activity = Activity::Runs;
        match begin {
            // The first processor starts at the reset vector, where firmware would stand.
            Start::Init if vmm.current() == 0 => return Step::End(End::Reset),
            Start::Init => vmm.vp().activity = Activity::WaitsForStartup,
            Start::Startup(page) => {
                let other = u8::from(vmm.tells(lies::PROCESSOR_OTHER));
                self.vcpu.start_up(page.wrapping_add(other));
                vmm.started(begin);
            }
            Start::Context(context) => {
                start::load(&mut self.vcpu, &context);
                if vmm.tells(lies::PROCESSOR_OTHER) {
                    self.vcpu.skip(16);
                }
                vmm.started(begin);
            }
        }
        Step::Continue
    }

    /// HvCallStartVirtualProcessor: the status.
    pub(super) fn start_vp(&mut self, vmm: &mut Vmm, start: &StartVpInput) -> u16 {
        let vp = &mut vmm.vps[start.vp_index as usize];
        if vp.activity != Activity::WaitsForStartup || vp.start.is_some() {
            vmm.offence = Some(&breach::PROCESSOR_RUNS);
            return hv::HV_STATUS_INVALID_VP_STATE;
        }
        if !vmm.tells(lies::PROCESSOR_WITHHELD) {
            vmm.vps[start.vp_index as usize].start = Some(Start::Context(start.context));
        }
        hv::HV_STATUS_SUCCESS
    }
}
