//! MSRs as the host answers them. `None` is #GP.

use super::{Vmm, lies};
use tessera_defs::{hyperv, mode::HostProfile, x86};

const MSR_TSC: u32 = 0x10;
const APIC_BASE: u64 = 0xFEE0_0000 | x86::x2apic::BASE_EN | x86::x2apic::BASE_EXTD | 1 << 8;

impl Vmm {
    /// RDMSR.
    pub fn read_msr(&mut self, msr: u32) -> Option<u64> {
        let hyperv = self.scenario.profile == HostProfile::HyperV;
        match msr {
            MSR_TSC => Some(self.now()),
            x86::MSR_APIC_BASE => Some(APIC_BASE),
            0x800..=0x8FF => {
                let now = self.now();
                self.apic.tick(now);
                self.apic.read(msr, now)
            }
            hyperv::MSR_GUEST_OS_ID if hyperv => Some(self.hyperv.guest_os_id),
            hyperv::MSR_HYPERCALL if hyperv => Some(self.hyperv.hypercall),
            hyperv::MSR_VP_INDEX if hyperv => Some(0),
            hyperv::MSR_ISOLATION_CONFIG if hyperv => Some(self.isolation_msr()),
            _ => None,
        }
    }

    /// WRMSR.
    pub fn write_msr(&mut self, msr: u32, value: u64) -> Option<()> {
        let hyperv = self.scenario.profile == HostProfile::HyperV;
        match msr {
            x86::MSR_APIC_BASE => {
                (value == APIC_BASE || value == APIC_BASE & !(1 << 8)).then_some(())
            }
            0x800..=0x8FF => {
                let now = self.now();
                self.apic.write(msr, value, now)
            }
            hyperv::MSR_GUEST_OS_ID if hyperv => {
                self.hyperv.guest_os_id = value;
                Some(())
            }
            hyperv::MSR_HYPERCALL if hyperv => {
                self.hyperv.hypercall = value;
                Some(())
            }
            _ => None,
        }
    }

    fn isolation_msr(&self) -> u64 {
        let [eax, mut ebx] = self.isolation();
        if self.tells(lies::MSR_DISAGREES) {
            ebx ^= 1;
        }
        u64::from(ebx) << 32 | u64::from(eax)
    }
}

#[cfg(test)]
mod tests {
    use super::super::scenario::Scenario;
    use super::*;

    #[test]
    fn the_isolation_msr_is_absent_on_kvm_and_an_alias_on_hyperv() {
        let of = |text| {
            let mut vmm = Vmm::new(Scenario::parse(text).unwrap(), crate::machine::FAKE);
            vmm.read_msr(hyperv::MSR_ISOLATION_CONFIG)
        };
        assert_eq!(of("mode=snp profile=kvm"), None);
        assert_eq!(of("mode=snp-paravisor"), Some(0xBA2 << 32 | 1));
        assert_eq!(
            of("mode=snp-paravisor lie=msr-disagrees"),
            Some(0xBA3 << 32 | 1)
        );
    }
}
