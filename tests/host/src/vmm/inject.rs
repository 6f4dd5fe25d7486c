//! When the vmm injects. A host that can inject at all can choose its moment: it sees which
//! page a guest fetches from, and stops it after any number of instructions.

use super::{
    Vmm,
    scenario::{At, Inject},
};
use crate::svm::vcpu::{Vcpu, reg};
use tessera_handoff::layout::KERNEL_VIRT;

/// Entries between two injections, at most.
const NEXT: u64 = 400;

/// What the guest is doing.
pub fn moment(vcpu: &Vcpu) -> Option<At> {
    let save = &vcpu.vmcb.save;
    let kernel = save.rip >= KERNEL_VIRT;
    Some(match (save.cpl, kernel) {
        // None, or still the stub's, which the kernel's tables do not map.
        _ if save.idtr.base == 0 || kernel && save.idtr.base < KERNEL_VIRT => return None,
        (3, _) => At::User,
        (_, true) if in_syscall_window(vcpu) => At::Syscall,
        (_, true) => At::Kernel,
        _ => At::Stub,
    })
}

/// At the first instruction behind SYSCALL: ring 0 on the stack pointer of ring 3.
fn in_syscall_window(vcpu: &Vcpu) -> bool {
    let save = &vcpu.vmcb.save;
    save.lstar != 0 && save.rip == save.lstar && vcpu.regs[reg::RSP] >> 63 == 0
}

/// Among how many entries of a moment the first injection falls. The stub makes some 30, ring 3
/// few, and the window behind SYSCALL is met by intent.
fn entries(moment: At) -> u64 {
    match moment {
        At::Stub => 12,
        At::User => 4,
        At::Syscall => 1,
        At::Kernel | At::Any => 60,
    }
}

impl Vmm {
    /// What to inject before this entry, by the scenario and the seed. Never where the guest has
    /// no IDT of its own: that only kills it.
    pub fn injection(&mut self, vcpu: &Vcpu) -> Option<Inject> {
        let inject = self.scenario.inject?;
        let now = moment(vcpu)?;
        if self.scenario.inject_at != At::Any && self.scenario.inject_at != now {
            return None;
        }
        if self.until_injection == 0 {
            self.until_injection = 1 + self.random() % entries(now);
        }
        self.until_injection -= 1;
        if self.until_injection > 0 {
            return None;
        }
        self.until_injection = 1 + self.random() % NEXT;
        Some(match inject {
            Inject::Any => Inject::Vector((self.random() % 32) as u8),
            inject => inject,
        })
    }

    /// The vmm waits for a moment without exits of its own, so it stops the guest often.
    pub fn hunts(&self, vcpu: &Vcpu) -> bool {
        let at = matches!(self.scenario.inject_at, At::User | At::Syscall);
        self.scenario.inject.is_some() && at && vcpu.vmcb.save.lstar != 0
    }

    /// Where the vmm takes the page away before ring 3 goes on, so that the next SYSCALL faults
    /// at its first instruction.
    pub fn trap_page(&self, vcpu: &Vcpu) -> Option<u64> {
        let save = &vcpu.vmcb.save;
        let wanted = self.scenario.inject.is_some() && self.scenario.inject_at == At::Syscall;
        (wanted && save.cpl == 3 && save.lstar != 0).then_some(save.lstar)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{svm::bitmaps::Bitmaps, vmm::scenario::Scenario};
    use std::{boxed::Box, vec::Vec};

    const ENTRY: u64 = KERNEL_VIRT + 0x100;

    fn guest(cpl: u8, rip: u64, rsp: u64) -> Vcpu {
        let mut vcpu = Vcpu::new(Box::leak(Bitmaps::new()), 0);
        let save = &mut vcpu.vmcb.save;
        save.lstar = ENTRY;
        save.idtr.base = if rip < KERNEL_VIRT { 0x1000 } else { ENTRY };
        (save.cpl, save.rip) = (cpl, rip);
        vcpu.regs[reg::RSP] = rsp;
        vcpu
    }

    #[test]
    fn moments_are_told_apart() {
        let kernel_stack = KERNEL_VIRT + 0x9000;
        assert_eq!(moment(&guest(0, 0x10_0000, 0x9000)), Some(At::Stub));
        assert_eq!(moment(&guest(0, ENTRY + 9, kernel_stack)), Some(At::Kernel));
        assert_eq!(moment(&guest(3, 0x40_0000, 0x9000)), Some(At::User));
        assert_eq!(moment(&guest(0, ENTRY, 0x9000)), Some(At::Syscall));
        assert_eq!(moment(&guest(0, ENTRY, kernel_stack)), Some(At::Kernel));
        let mut bare = guest(0, 0x10_0000, 0x9000);
        bare.vmcb.save.idtr.base = 0;
        assert_eq!(moment(&bare), None);
        let mut old = guest(0, ENTRY + 9, kernel_stack);
        old.vmcb.save.idtr.base = 0x1000;
        assert_eq!(moment(&old), None);
    }

    #[test]
    fn an_injection_comes_at_its_moment_and_again() {
        let scenario = Scenario::parse("lie=inject-any inject_at=user seed=3").unwrap();
        let mut vmm = Vmm::new(scenario, crate::machine::FAKE);
        let (stub, user) = (guest(0, 0x10_0000, 0), guest(3, 0x40_0000, 0));
        assert!((0..1000).all(|_| vmm.injection(&stub).is_none()));
        let found: Vec<_> = (0..2000).filter_map(|_| vmm.injection(&user)).collect();
        assert!(found.len() > 3, "seed 3: {found:?}");
        let exception = |inject: &Inject| matches!(inject, Inject::Vector(0..32));
        assert!(found.iter().all(exception) && found.iter().any(|one| *one != found[0]));
    }

    #[test]
    fn the_page_behind_syscall_is_taken_only_while_ring_3_runs() {
        let of = |text| Vmm::new(Scenario::parse(text).unwrap(), crate::machine::FAKE);
        let hunting = of("lie=inject-29 inject_at=syscall");
        assert_eq!(hunting.trap_page(&guest(3, 0x40_0000, 0)), Some(ENTRY));
        assert_eq!(hunting.trap_page(&guest(0, ENTRY, 0)), None);
        assert_eq!(of("lie=none").trap_page(&guest(3, 0x40_0000, 0)), None);
    }
}
