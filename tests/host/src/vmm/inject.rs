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
        _ if save.idtr.base == 0 => return None,
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
    /// What to inject before this entry, by the scenario and the seed. Never before the guest
    /// has an IDT: that only kills it.
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
