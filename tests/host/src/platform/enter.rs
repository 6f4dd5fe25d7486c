//! One entry into a context, the same for every technology: timer, interrupts, counts.

use crate::{
    memory::walk::Physical,
    report::End,
    silicon::deliver,
    svm::{
        exit,
        vcpu::{Vcpu, reg},
    },
    vmm::{Vmm, scenario::Inject},
};
use tessera_defs::{
    breach,
    snp::vc::{self, event},
    x86::vector,
};
use tessera_handoff::layout::KERNEL_VIRT;

/// The guest comes back after so many instructions at the latest.
pub const SLICE: u64 = 5_000_000;
/// The same for a lower context while the one below it has an interrupt to get.
const LOWER_SLICE: u64 = 20_000;
/// The same, at random up to twice that, while the vmm waits for a moment of the guest.
const HUNT_SLICE: u64 = 1500;
/// Bytes behind SYSCALL in which a kernel may still be on ring 3's stack pointer.
const SYSCALL_ENTRY: u64 = 32;

/// Enters the context once; the exit stands in its VMCB. `interruptible`: the vmm may offer
/// interrupts to this context.
pub fn enter(vmm: &mut Vmm, vcpu: &mut Vcpu, interruptible: bool) {
    let offered = if interruptible {
        vmm.pending_interrupt()
    } else {
        None
    };
    // A lower context has interrupts of its own, or none.
    if interruptible {
        vcpu.offer_interrupt(offered);
    }
    let waits = !interruptible && vmm.pending_interrupt().is_some();
    let slice = match waits {
        _ if vmm.hunts(vcpu) => HUNT_SLICE + vmm.random() % HUNT_SLICE,
        true => LOWER_SLICE,
        false => SLICE,
    };
    run(vmm, vcpu, slice);
    if let Some(vector) = offered.filter(|_| vcpu.interrupt_taken()) {
        vmm.apic.accept(vector);
    }
    if vcpu.vmcb.control.exit_code == exit::NPF {
        vcpu.reinject();
    }
}

/// Enters the context once, with what it was offered, for `slice` ticks at most.
pub fn run(vmm: &mut Vmm, vcpu: &mut Vcpu, slice: u64) {
    vcpu.take_at_once();
    vcpu.vmcb.control.tsc_offset = vmm.skew;
    let now = vmm.now();
    let deadline = vmm
        .apic
        .deadline()
        .map_or(slice, |at| at.saturating_sub(now));
    (vmm.machine.arm)(deadline.min(slice).max(1000));
    let before = (vmm.machine.clock)();
    (vmm.machine.enter)(vcpu);
    vmm.stats.instructions += (vmm.machine.clock)().wrapping_sub(before);
    let control = &mut vcpu.vmcb.control;
    control.event_inj = 0;
    vmm.last_exit = (
        control.exit_code,
        [control.exit_info_1, control.exit_info_2],
    );
    vmm.stats.exit(control.exit_code);
}

/// Injects what the scenario says, where nothing else is to be injected: by EVENTINJ, or through
/// the guest's IDT in software where QEMU's EVENTINJ would drop the error code. `memory` is the
/// context's own view. `None`: the guest cannot take it, which is a triple fault.
pub fn inject(vmm: &mut Vmm, vcpu: &mut Vcpu, memory: &mut dyn Physical) -> Option<()> {
    if vcpu.vmcb.control.event_inj & event::VALID != 0 {
        return Some(());
    }
    let Some(inject) = vmm.injection(vcpu) else {
        return Some(());
    };
    vmm.tell();
    match inject {
        // EVENTINJ refuses exceptions 2 and 31 (APM vol. 2, 15.20): an NMI and an interrupt.
        Inject::Nmi | Inject::Any | Inject::Vector(2) => {
            vcpu.vmcb.control.event_inj = event::VALID | event::TYPE_NMI << event::TYPE_SHIFT | 2;
        }
        Inject::Vector(vector @ (21 | vector::VC | 30)) => {
            let code = if vector == vector::VC { vc::CPUID } else { 0 };
            return deliver::deliver(vcpu, memory, vector, code).ok();
        }
        Inject::Vector(vector @ 0..=30) => {
            let error = matches!(vector, 8 | 10..=14 | 17).then_some(0);
            vcpu.inject_exception(vector, error);
        }
        Inject::Vector(vector) => {
            vcpu.vmcb.control.event_inj = event::VALID | u64::from(vector);
        }
    }
    Some(())
}

/// What a triple fault comes to.
pub fn shutdown(vmm: &Vmm) -> End {
    End::Breach(vmm.offence.unwrap_or(&breach::UNHANDLED_EXCEPTION))
}

/// Ring 0 of a kernel that has system calls, on a stack of ring 3's choice: whoever traps there
/// lets ring 3 say where the kernel writes. The first instructions behind SYSCALL are left out.
pub fn user_stack(vcpu: &Vcpu) -> bool {
    let save = &vcpu.vmcb.save;
    let entry = save.rip.wrapping_sub(save.lstar) < SYSCALL_ENTRY;
    let kernel = save.lstar != 0 && save.cpl == 0 && save.rip >= KERNEL_VIRT;
    kernel && !entry && vcpu.regs[reg::RSP] >> 63 == 0
}
