//! MSRs as the host answers them. `None` is #GP.

use super::{Vmm, clocks, lies, missing::Request};
use crate::memory::frames::PAGE;
use tessera_defs::{
    hyperv::{self, synic},
    mode::HostProfile,
    x86,
};

const MSR_TSC: u32 = 0x10;
const MSR_TSC_DEADLINE: u32 = 0x6E0;

impl Vmm {
    /// RDMSR.
    pub fn read_msr(&mut self, msr: u32) -> Option<u64> {
        let value = match msr {
            _ if self.is_above(msr) => None,
            MSR_TSC => Some(self.now()),
            MSR_TSC_DEADLINE => Some(self.vp().apic.tsc_deadline()),
            x86::MSR_APIC_BASE => Some(self.vp().apic.base()),
            0x800..=0x8FF => {
                let now = self.now();
                let apic = &mut self.vp().apic;
                apic.tick(now);
                apic.read(msr, now).filter(|_| apic.x2apic())
            }
            _ => self.synthetic(msr).or_else(|| self.kept.read(msr)),
        };
        // Absence of the isolation MSR is an answer (see `defs::hyperv`).
        if value.is_none() && msr != hyperv::MSR_ISOLATION_CONFIG {
            self.missed(Request::Rdmsr(msr));
        }
        value
    }

    /// Whether a register is of the local APIC and the context that asks is below a paravisor: that APIC is the
    /// paravisor's.
    fn is_above(&mut self, msr: u32) -> bool {
        let apic = match msr {
            MSR_TSC_DEADLINE | x86::MSR_APIC_BASE | 0x800..=0x8FF => true,
            _ => [hyperv::MSR_EOI, hyperv::MSR_ICR, hyperv::MSR_TPR].contains(&msr),
        };
        apic && self.vp().below
    }

    /// WRMSR.
    pub fn write_msr(&mut self, msr: u32, value: u64) -> Option<()> {
        let now = self.now();
        let done = match msr {
            _ if self.is_above(msr) => None,
            x86::MSR_APIC_BASE => self.vp().apic.set_base(value),
            MSR_TSC_DEADLINE => {
                self.vp().apic.set_tsc_deadline(value);
                Some(())
            }
            0x800..=0x8FF if !self.vp().apic.x2apic() => None,
            0x800..=0x8FF => {
                if msr == x86::x2apic::INITIAL_COUNT {
                    self.misset();
                }
                let done = self.vp().apic.wrmsr(msr, value, now);
                self.apic_wrote();
                done
            }
            _ => match self.set_synthetic(msr, value) {
                Some(()) => Some(()),
                None => self.kept.write(msr, value),
            },
        };
        if done.is_none() {
            self.missed(Request::Wrmsr(msr));
        }
        done
    }

    /// A timer is about to be armed.
    fn misset(&mut self) {
        if self.current() != 0 && self.tells(lies::TIMERS_LOST) {
            self.vp().apic.silence();
        }
        if self.tells(lies::TIMERS_HURRIED) {
            self.vp().apic.hurry();
        }
    }

    /// What a write of the local APIC has to say outside: a command to other processors, the end
    /// of an interrupt to the IOAPIC.
    pub(super) fn apic_wrote(&mut self) {
        self.send_command();
        if let Some(ended) = self.vp().apic.take_ended() {
            let again = self.devices.ioapic.end(ended);
            self.route(again);
            self.vp().synic.ended();
        }
    }

    /// Registers of the profile's hypervisor.
    fn synthetic(&mut self, msr: u32) -> Option<u64> {
        if self.scenario.profile != HostProfile::HyperV {
            return None;
        }
        Some(match msr {
            hyperv::MSR_GUEST_OS_ID => self.hyperv().guest_os_id,
            hyperv::MSR_HYPERCALL => self.hyperv().hypercall,
            hyperv::MSR_VP_INDEX => self.current() as u64,
            hyperv::MSR_TIME_REF_COUNT => clocks::reference(self.now()),
            synic::MSR_REFERENCE_TSC => self.hyperv().reference_tsc,
            hyperv::MSR_TSC_FREQUENCY | hyperv::MSR_APIC_FREQUENCY => clocks::FREQUENCY,
            hyperv::MSR_VP_ASSIST_PAGE => self.vp().assist,
            hyperv::MSR_ISOLATION_CONFIG => self.isolation_msr(),
            hyperv::MSR_ICR => return self.vp().apic.read(x86::x2apic::ICR, 0),
            hyperv::MSR_TPR => return self.vp().apic.read(x86::x2apic::TPR, 0),
            _ => return self.vp().controller().read(msr),
        })
    }

    fn set_synthetic(&mut self, msr: u32, value: u64) -> Option<()> {
        match (self.scenario.profile, msr) {
            (HostProfile::Kvm, clocks::KVM_WALL_CLOCK | clocks::KVM_SYSTEM_TIME) => {
                self.kvm_clock(msr, value);
            }
            (HostProfile::Kvm, _) => return None,
            (_, hyperv::MSR_GUEST_OS_ID) => self.hyperv().guest_os_id = value,
            (_, hyperv::MSR_HYPERCALL) => self.hyperv().hypercall = value,
            (_, hyperv::MSR_VP_ASSIST_PAGE) => self.vp().assist = value,
            (_, synic::MSR_REFERENCE_TSC) => self.reference_page(value),
            (_, hyperv::MSR_EOI) if value >> 32 == 0 => self.set_apic(x86::x2apic::EOI, 0)?,
            (_, hyperv::MSR_ICR) => self.set_apic(x86::x2apic::ICR, value)?,
            (_, hyperv::MSR_TPR) if value < 0x100 => self.set_apic(x86::x2apic::TPR, value)?,
            _ => return self.set_synic(msr, value),
        }
        Some(())
    }

    /// A register of the local APIC, in either of its modes.
    fn set_apic(&mut self, register: u32, value: u64) -> Option<()> {
        let now = self.now();
        self.vp().apic.write(register, value, now)?;
        self.apic_wrote();
        Some(())
    }

    pub(super) fn set_synic(&mut self, msr: u32, value: u64) -> Option<()> {
        self.synic = true;
        let now = clocks::reference(self.now());
        let vp = self.vp();
        let fresh = match vp.below {
            true => vp.lower.write(msr, value, now, &mut vp.proxied),
            false => vp.synic.write(msr, value, now, &mut vp.apic),
        };
        if let Some(page) = fresh? {
            self.writes.push((page, alloc::vec![0; PAGE]));
        }
        Some(())
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
    fn hyperv_has_three_registers_of_the_apic_in_either_of_its_modes() {
        let of = |text| Vmm::new(Scenario::parse(text).unwrap(), crate::machine::FAKE);
        let mut vmm = of("mode=none profile=hyperv");
        for mode in [1 << 11, 3 << 10] {
            let base = vmm.read_msr(x86::MSR_APIC_BASE).unwrap();
            vmm.vp().apic.set_base(base & !(3 << 10) | mode);
            vmm.vp().apic.write(x86::x2apic::SIVR, 0x1FF, 0).unwrap();
            assert_eq!(vmm.write_msr(hyperv::MSR_TPR, 0x20), Some(()));
            assert_eq!(vmm.read_msr(hyperv::MSR_TPR), Some(0x20));
            assert_eq!(vmm.write_msr(hyperv::MSR_TPR, 0x120), None);
            assert_eq!(vmm.write_msr(hyperv::MSR_TPR, 0), Some(()));
            // To itself by the shorthand, taken and ended.
            let command = 0x55 | 1 << 18;
            assert_eq!(vmm.write_msr(hyperv::MSR_ICR, command), Some(()));
            assert_eq!(vmm.read_msr(hyperv::MSR_ICR), Some(command));
            assert_eq!(vmm.vp().apic.pending(), Some(0x55));
            vmm.vp().apic.accept(0x55);
            vmm.vp().apic.request(0x51);
            assert_eq!(vmm.vp().apic.pending(), None);
            assert_eq!(vmm.write_msr(hyperv::MSR_EOI, 0), Some(()));
            assert_eq!(vmm.vp().apic.pending(), Some(0x51));
            vmm.vp().apic.accept(0x51);
            assert_eq!(vmm.write_msr(hyperv::MSR_EOI, 7), Some(()));
            assert_eq!(vmm.write_msr(hyperv::MSR_EOI, 1 << 32), None);
            assert_eq!(vmm.read_msr(hyperv::MSR_EOI), None);
        }
        assert_eq!(
            of("mode=none profile=kvm").write_msr(hyperv::MSR_EOI, 0),
            None
        );
    }

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
