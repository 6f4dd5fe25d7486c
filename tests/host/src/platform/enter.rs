//! One entry into a context, the same for every technology: timer, interrupts, counts.

use crate::{
    report::End,
    svm::{exit, vcpu::Vcpu},
    vmm::{Vmm, scenario::Inject},
};
use tessera_defs::{breach, snp::vc::event};

/// The guest comes back after so many instructions at the latest.
const SLICE: u64 = 5_000_000;
/// The same for a lower context while the one below it has an interrupt to get.
const LOWER_SLICE: u64 = 20_000;

/// Enters the context once; the exit stands in its VMCB. `interruptible`: the vmm may offer
/// interrupts to this context.
pub fn enter(vmm: &mut Vmm, vcpu: &mut Vcpu, interruptible: bool) {
    let offered = if interruptible {
        vmm.pending_interrupt()
    } else {
        None
    };
    vcpu.offer_interrupt(offered);
    vcpu.vmcb.control.tsc_offset = vmm.skew;
    let now = vmm.now();
    let waits = !interruptible && vmm.pending_interrupt().is_some();
    let slice = if waits { LOWER_SLICE } else { SLICE };
    let deadline = vmm
        .apic
        .deadline()
        .map_or(slice, |at| at.saturating_sub(now));
    (vmm.machine.arm)(deadline.clamp(1000, slice));
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
    if let Some(vector) = offered.filter(|_| vcpu.interrupt_taken()) {
        vmm.apic.accept(vector);
    }
    if vcpu.vmcb.control.exit_code == exit::NPF {
        vcpu.reinject();
    }
}

/// Puts the scenario's injection into EVENTINJ, where nothing else is to be injected.
/// Exceptions that push an error code get 0.
pub fn inject(vmm: &mut Vmm, vcpu: &mut Vcpu) {
    if vcpu.vmcb.control.event_inj & event::VALID != 0 {
        return;
    }
    let Some(inject) = vmm.injection() else {
        return;
    };
    vmm.blind |= vcpu.vmcb.save.idtr.base == 0;
    match inject {
        // EVENTINJ refuses exceptions 2 and 31 (APM vol. 2, 15.20): an NMI and an interrupt.
        Inject::Nmi | Inject::Vector(2) => {
            vcpu.vmcb.control.event_inj = event::VALID | event::TYPE_NMI << event::TYPE_SHIFT | 2;
        }
        Inject::Vector(vector @ 0..=30) => {
            let error = matches!(vector, 8 | 10..=14 | 17 | 21 | 29 | 30).then_some(0);
            vcpu.inject_exception(vector, error);
        }
        Inject::Vector(vector) => {
            vcpu.vmcb.control.event_inj = event::VALID | u64::from(vector);
        }
    }
}

/// What a triple fault comes to. A guest that the host hit before it had an IDT was killed by
/// the host; nothing else is to be said about it.
pub fn shutdown(vmm: &Vmm) -> End {
    if vmm.blind {
        return End::Denied("injected-before-idt");
    }
    End::Breach(vmm.offence.unwrap_or(&breach::UNHANDLED_EXCEPTION))
}
