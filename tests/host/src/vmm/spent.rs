//! Whose instructions an entry was: counted by the stamps around VMRUN, without the host's own.

use super::{
    Vmm,
    stats::{Boot, Service},
};
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
            (false, Some(service)) => service.spent += vcpu.ran,
            (false, None) => {}
            (true, serving) => {
                if let Some(service) = serving.replace(Service::new(code)) {
                    self.stats.serve(&service);
                }
            }
        }
    }

    /// The processor took a vector of its local APIC.
    pub fn took(&mut self, vector: u8) {
        let vp = self.vp();
        vp.apic.accept(vector);
        let timer = vp.apic.is_timer(vector);
        if let Some(service) = &mut vp.serving {
            service.took(timer);
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
    use tessera_defs::{snp::vc, x86::x2apic};

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
        assert_eq!(vmm.stats.least, vmm.stats.serving);
        for spent in [70, 90] {
            vmm.ran(entry(vcpu, vc::CPUID, spent, 0), false);
            vmm.ran(entry(vcpu, vc::CPUID, 10, 0), true);
        }
        assert_eq!(vmm.stats.serving.iter().sum::<u64>(), 660);
        assert_eq!(vmm.stats.least.iter().sum::<u64>(), 70);
    }

    #[test]
    fn only_an_interrupt_of_the_timer_alone_is_counted_as_the_timers() {
        let mut vmm = Vmm::new(Scenario::default(), FAKE);
        let vcpu = &mut Vcpu::new(Box::leak(Bitmaps::new()), 0);
        vmm.vp().apic.write(x2apic::LVT_TIMER, 0x40, 0).unwrap();
        // The kick of another processor; the timer; both; neither.
        for taken in [&[0x41][..], &[0x40], &[0x40, 0x41], &[]] {
            vmm.ran(entry(vcpu, exit::INTR, 10, 0), true);
            taken.iter().for_each(|vector| vmm.took(*vector));
            vmm.ran(entry(vcpu, vc::HLT, 100, 0), false);
        }
        vmm.ran(entry(vcpu, vc::CPUID, 10, 0), true);
        let of = |name| exit::CLASSES.iter().position(|class| *class == name);
        let served = |name| vmm.stats.served[of(name).unwrap()];
        assert_eq!((served(exit::TIMER), served("intr")), (1, 3));
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
