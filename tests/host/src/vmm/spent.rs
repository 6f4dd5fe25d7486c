//! Whose instructions an entry was: counted by the stamps around VMRUN, without the host's own.

use super::{Vmm, stats::Boot};
use crate::svm::vcpu::Vcpu;

const USER: u8 = 3;

impl Vmm {
    /// Notes what ran between the last entry and its exit, which is not counted yet. What runs
    /// between two entries of a `lower` context serves the exit of the first.
    pub fn ran(&mut self, vcpu: &Vcpu, lower: bool) {
        let code = vcpu.vmcb.control.exit_code;
        self.stats.own += vcpu.ran;
        if self.stats.boot.is_none() && vcpu.vmcb.save.cpl == USER {
            self.stats.boot = Some(Boot {
                operations: self.stats.operations.clone(),
                exits: self.stats.exits,
                instructions: self.stats.own,
            });
        }
        match (lower, &mut self.vp().serving) {
            (false, Some((_, spent))) => *spent += vcpu.ran,
            (false, None) => {}
            (true, serving) => {
                if let Some((served, spent)) = serving.replace((code, 0)) {
                    self.stats.serve(served, spent);
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        machine::FAKE,
        svm::{bitmaps::Bitmaps, exit},
        vmm::scenario::Scenario,
    };
    use alloc::boxed::Box;
    use tessera_defs::snp::vc;

    fn entry(vcpu: &mut Vcpu, code: u64, ran: u64, cpl: u8) -> &Vcpu {
        vcpu.vmcb.control.exit_code = code;
        vcpu.vmcb.save.cpl = cpl;
        vcpu.ran = ran;
        vcpu
    }

    #[test]
    fn what_serves_an_exit_is_counted_to_it_and_an_exit_that_the_host_serves_is_not() {
        let mut vmm = Vmm::new(Scenario::default(), FAKE);
        let vcpu = &mut Vcpu::new(Box::leak(Bitmaps::new()), 0);
        // The paravisor starts: nobody's exit.
        vmm.ran(entry(vcpu, vc::CPUID, 1000, 0), false);
        vmm.ran(entry(vcpu, vc::CPUID, 10, 0), true);
        vmm.ran(entry(vcpu, vc::MSR, 300, 0), false);
        vmm.ran(entry(vcpu, exit::INTR, 200, 0), false);
        vmm.ran(entry(vcpu, exit::NPF, 20, 0), true);
        vmm.ran(entry(vcpu, vc::CPUID, 30, 0), true);
        assert_eq!(
            (vmm.stats.served.iter().sum::<u64>(), vmm.stats.own),
            (1, 1560)
        );
        assert_eq!(vmm.stats.serving.iter().sum::<u64>(), 500);
    }

    #[test]
    fn the_boot_ends_with_the_first_exit_out_of_ring_3() {
        let mut vmm = Vmm::new(Scenario::default(), FAKE);
        let vcpu = &mut Vcpu::new(Box::leak(Bitmaps::new()), 0);
        for (cpl, ran) in [(0, 7), (3, 2), (3, 100)] {
            vmm.ran(entry(vcpu, vc::CPUID, ran, cpl), false);
            vmm.stats.exit(vc::CPUID);
        }
        let boot = vmm.stats.boot.unwrap();
        assert_eq!((boot.exits.iter().sum::<u64>(), boot.instructions), (1, 9));
    }
}
