//! One entry into the L2 VM: what sends it to L1 before it runs, and the interrupts that it
//! gets. Sources: 354807, "Interrupts"; Intel SDM vol. 3, 27.7 (events at VM entry).

use super::{Tdx, seen::Seen};
use crate::{
    memory::frames::{Memory, PAGE},
    platform::{Step, enter},
    silicon::tdx::l2::{exit::Exit, vapic::Vapic},
    svm::{exit, vmcb},
    vmm::{Vmm, lies},
};
use tessera_defs::{snp::vc, tdx::status, vmx};

const RFLAGS_IF: u64 = 1 << 9;
/// The vmm's notification vector for posted interrupts, as L1 finds it in the exit.
const NOTIFICATION: u32 = 0xF2;
/// While the vmm resumes L1 at random, it stops the L2 VM so often.
const LIE_SLICE: u64 = 20_000;

impl Tdx {
    /// Runs the L2 VM until its next exit and serves it.
    pub(in super::super) fn step_lower(&mut self, vmm: &mut Vmm, memory: &mut Memory) -> Step {
        if let Some(exit) = self.before(vmm) {
            return self.leave(memory, exit);
        }
        let offered = self.offer(memory);
        let window = self.td.l2.interrupt_window();
        let slice = self.slice(vmm);
        let vcpu = &mut self.lower.vcpu;
        let control = &mut vcpu.vmcb.control;
        control.intercept_exceptions = vmcb::INTERCEPT_EXCEPTIONS
            | self.td.l2.vmcs.get(vmx::vmcs::EXCEPTION_BITMAP) as u32 & !(1 << 18);
        control.intercept_1 = vmcb::INTERCEPT_1 | vmcb::INTERCEPT_1_RDPMC;
        if window {
            control.intercept_1 |= vmcb::INTERCEPT_1_VINTR;
        }
        if core::mem::take(&mut self.td.l2.flush) {
            self.lower.npt.clear();
        }
        // A window needs something to wait for; its intercept comes first.
        vcpu.offer_interrupt(if window { Some(0xFF) } else { offered });
        let mut seen = Seen {
            td: &self.td,
            shared: &self.shared,
            memory,
        };
        if let Err(end) = enter::run(vmm, vcpu, &mut seen, slice, true) {
            return Step::End(end);
        }
        if let Some(vector) = offered.filter(|_| !window && vcpu.interrupt_taken()) {
            self.apic(memory, |apic| apic.deliver(vector));
        }
        self.reinject();
        self.exit_lower(vmm, memory)
    }

    /// What makes the processor leave before an instruction of the L2 VM.
    fn before(&mut self, vmm: &mut Vmm) -> Option<Exit> {
        if vmm.pending_interrupt().is_some() {
            return Some(Exit {
                status: status::L2_EXIT_PENDING_INTERRUPT,
                interruption: (vmx::event::VALID | NOTIFICATION, 0),
                ..Exit::event(vmx::EXTERNAL_INTERRUPT)
            });
        }
        if self.td.l2.deadline <= vmm.now() {
            return Some(Exit::event(vmx::PREEMPTION_TIMER));
        }
        if vmm.scenario.lies(lies::SPURIOUS_WAKE) && vmm.random().is_multiple_of(4) {
            vmm.tell();
            return Some(resumed());
        }
        let open = self.td.l2.interrupt_window() && self.takes_interrupts();
        open.then(|| Exit::event(vmx::INTERRUPT_WINDOW))
    }

    /// IF is set, nothing blocks, and no event goes in.
    fn takes_interrupts(&self) -> bool {
        let vmcb = &self.lower.vcpu.vmcb;
        vmcb.save.rflags & RFLAGS_IF != 0
            && vmcb.control.interrupt_shadow & 1 == 0
            && vmcb.control.event_inj & vc::event::VALID == 0
    }

    fn slice(&self, vmm: &mut Vmm) -> u64 {
        let left = self.td.l2.deadline.saturating_sub(vmm.now());
        let slice = match vmm.scenario.lies(lies::ASYNC_RETURN) {
            true => 1 + vmm.random() % LIE_SLICE,
            false => enter::SLICE,
        };
        slice.min(left)
    }

    /// The virtual interrupt to offer.
    fn offer(&mut self, memory: &mut Memory) -> Option<u8> {
        let virtual_interrupts = self.td.l2.virtual_interrupts();
        self.apic(memory, |apic| apic.pending())
            .flatten()
            .filter(|_| virtual_interrupts)
    }

    /// Uses the virtual-APIC page; `None` where it is gone.
    pub(super) fn apic<T>(
        &mut self,
        memory: &mut Memory,
        act: impl FnOnce(&mut Vapic<'_>) -> T,
    ) -> Option<T> {
        let running = self.lower.running.as_mut()?;
        let frame = self.td.sept.mapped(running.operands.apic / PAGE as u64)?;
        let mut apic = Vapic::new(memory.page(frame)?, running.status);
        let result = act(&mut apic);
        running.status = apic.status();
        Some(result)
    }

    /// An event whose delivery this exit interrupted goes in again, or to L1. A software
    /// interrupt does not: its instruction runs again.
    fn reinject(&mut self) {
        let vcpu = &mut self.lower.vcpu;
        let pending = vcpu.vmcb.control.exit_int_info;
        if pending >> vc::event::TYPE_SHIFT & 7 != vc::event::TYPE_SOFT {
            vcpu.reinject();
        }
    }

    /// The vmm got an interrupt of its own while the L2 VM ran.
    pub(super) fn interrupted(&mut self, vmm: &mut Vmm, memory: &mut Memory) -> Step {
        if vmm.scenario.lies(lies::ASYNC_RETURN) && vmm.random().is_multiple_of(2) {
            vmm.tell();
            return self.leave(memory, resumed());
        }
        Step::Continue
    }
}

/// The vmm resumes L1 after an exit that L1 has nothing to do with.
fn resumed() -> Exit {
    Exit {
        status: status::L2_EXIT_HOST_ROUTED_ASYNC,
        ..Exit::event(vmx::EXTERNAL_INTERRUPT)
    }
}

/// Whether an exit code is a physical or virtual interrupt's.
pub(super) fn is_interrupt(code: u64) -> bool {
    matches!(code, exit::INTR | exit::NMI)
}
