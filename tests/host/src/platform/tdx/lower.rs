//! The L2 VM of the TD's processor as it runs: TDG.VP.ENTER into it, exits to L1 out of it.
//! `run` is one entry, `exits`, `registers` and `faults` what the module does with an exit.
//! Sources: 354807; the order of checks is that of Intel's TDX module 1.5.

mod exits;
mod faults;
mod registers;
mod run;
mod seen;
#[cfg(test)]
mod tests;

use super::Tdx;
use crate::{
    memory::frames::{Memory, PAGE},
    platform::Step,
    report::End,
    silicon::tdx::{
        l2::{
            check::{self, Refused},
            enter::{self, Operands},
            event::{self, Entry},
            exit::Exit,
            state,
        },
        sept::State,
    },
    svm::{
        bitmaps::{Bitmaps, GUEST_OWNED},
        npt::Npt,
        vcpu::{Vcpu, reg},
        vmcb::{self, Save},
    },
    vmm::{Vmm, lies},
};
use alloc::boxed::Box;
use tessera_defs::{
    breach,
    tdx::{status, tdcall::L2EnterState},
    vmx,
};
use zerocopy::{FromBytes, IntoBytes};

/// Bytes of L2_ENTER_GUEST_STATE that are read and written.
const STATE_BYTES: usize = 154;
/// The interrupt that a lying vmm posts to L1.
const UNASKED: u8 = 0x40;

/// What SVM needs to run L2 VM 1.
#[derive(Debug)]
pub struct Lower {
    pub(super) vcpu: Vcpu,
    pub(super) npt: Npt,
    running: Option<Running>,
    /// Exits that the vmm sent to L1 in a row, from the same place.
    routed: (u64, u64, u32),
}

/// An entry that has not exited to L1 yet.
#[derive(Clone, Copy, Debug)]
struct Running {
    operands: Operands,
    /// Bytes of L1's TDCALL.
    length: u64,
    /// Guest interrupt status.
    status: u16,
    /// SSP as it came in.
    ssp: u64,
}

impl Lower {
    /// A context that has not run. Everything exits: what the L2 VM owns is served from its
    /// save area. `size`: where the TD's memory ends.
    pub fn new(size: u64) -> Self {
        let npt = Npt::of(size, 64);
        let bitmaps = Box::leak(Bitmaps::new());
        GUEST_OWNED
            .iter()
            .for_each(|msr| bitmaps.set_msr(*msr, true));
        let mut vcpu = Vcpu::new(bitmaps, npt.root());
        let control = &mut vcpu.vmcb.control;
        control.asid = 2;
        control.intercept_cr = vmcb::INTERCEPT_CR0_CR4;
        control.intercept_2 |= vmcb::INTERCEPT_2_XSETBV;
        Self {
            vcpu,
            npt,
            running: None,
            routed: (0, 0, 0),
        }
    }

    /// L1 waits for it.
    pub fn runs(&self) -> bool {
        self.running.is_some()
    }
}

impl Tdx {
    /// TDG.VP.ENTER, an instruction of `length` bytes.
    pub(super) fn vp_enter(&mut self, vmm: &mut Vmm, memory: &mut Memory, length: u64) -> Step {
        let (rcx, rdx) = (self.vcpu.regs[reg::RCX], self.vcpu.regs[reg::RDX]);
        let operands = match enter::operands(&self.td, rcx, rdx) {
            Ok(operands) => operands,
            Err(status) => {
                vmm.offence = Some(&breach::L2_ENTER_OPERAND);
                return self.not_entered(status, length);
            }
        };
        if vmm.scenario.lies(lies::ASYNC_RETURN) && vmm.random().is_multiple_of(8) {
            vmm.tell();
            vmm.vp().apic.request(UNASKED);
        }
        if vmm.pending_interrupt().is_some() {
            return self.not_entered(status::PENDING_INTERRUPT, length);
        }
        // The module translates both pages; what fails is an EPT violation of L1.
        for gpa in [operands.state, operands.apic] {
            let gfn = gpa / PAGE as u64;
            match self.td.sept.get(gfn).state {
                State::Mapped(_) => {}
                State::Free => return self.augment(vmm, memory, gfn, false),
                State::Pending(_) => {
                    return Step::End(End::Breach(&breach::UNVALIDATED_ACCESS));
                }
            }
        }
        self.enter_lower(vmm, memory, operands, length)
    }

    fn not_entered(&mut self, status: u64, length: u64) -> Step {
        self.vcpu.regs[reg::RAX] = status;
        self.vcpu.skip(length);
        Step::Continue
    }

    fn enter_lower(
        &mut self,
        vmm: &mut Vmm,
        memory: &mut Memory,
        operands: Operands,
        length: u64,
    ) -> Step {
        vmm.note("vp-enter");
        self.td.l2.flush |= operands.flush;
        let Some(state) = self.read_state(memory, operands.state) else {
            return Step::End(End::Denied("l2-state-page-gone"));
        };
        self.lower.running = Some(Running {
            operands,
            length,
            status: state.guest_interrupt_status,
            ssp: state.ssp,
        });
        let fields = &self.td.l2.vmcs;
        let Ok(event) = Entry::of(fields) else {
            // The processor refuses the entry itself: fatal to the module.
            return Step::End(End::Breach(&breach::L2_STATE_INVALID));
        };
        match check::guest_state(fields, &state, event.as_ref()) {
            Ok(()) => {}
            Err(Refused::Invalid) => return self.entry_failed(vmm),
            Err(Refused::NotModelled(what)) => return Step::End(End::Denied(what)),
        }
        state::load(fields, &state, event.as_ref(), &mut self.lower.vcpu);
        share(&self.vcpu.vmcb.save, &mut self.lower.vcpu.vmcb.save);
        Step::Continue
    }

    /// The guest state is invalid: L1 is told, and nothing of the L2 VM changes but the exit's
    /// reason and qualification.
    fn entry_failed(&mut self, vmm: &mut Vmm) -> Step {
        vmm.offence = Some(&breach::L2_STATE_INVALID);
        let exit = Exit::event(vmx::INVALID_GUEST_STATE | vmx::ENTRY_FAILURE);
        let fields = &mut self.td.l2.vmcs;
        fields.set(vmx::vmcs::EXIT_REASON, exit.reason.into());
        fields.set(vmx::vmcs::EXIT_QUALIFICATION, 0);
        if let Some(running) = self.lower.running.take() {
            exit.registers(fields, &self.lower.vcpu.regs, &mut self.vcpu.regs);
            self.vcpu.skip(running.length);
        }
        Step::Continue
    }

    /// Exit to L1: state to memory, exit information to L1's registers and the VMCS.
    fn leave(&mut self, memory: &mut Memory, mut exit: Exit) -> Step {
        let Some(running) = self.lower.running.take() else {
            return Step::Continue;
        };
        let control = &mut self.lower.vcpu.vmcb.control;
        exit.vectoring = event::vectoring(control.event_inj);
        control.event_inj = 0;
        let fields = &mut self.td.l2.vmcs;
        let state = state::store(fields, &self.lower.vcpu, running.status, running.ssp);
        exit.record(fields);
        exit.registers(fields, &self.lower.vcpu.regs, &mut self.vcpu.regs);
        share(&self.lower.vcpu.vmcb.save, &mut self.vcpu.vmcb.save);
        self.vcpu.skip(running.length);
        match self.write_state(memory, running.operands.state, &state) {
            Some(()) => Step::Continue,
            None => Step::End(End::Denied("l2-state-page-gone")),
        }
    }

    fn read_state(&self, memory: &mut Memory, gpa: u64) -> Option<L2EnterState> {
        let offset = gpa as usize % PAGE;
        let frame = self.td.sept.mapped(gpa / PAGE as u64)?;
        let bytes = &memory.page(frame)?[offset..offset + size_of::<L2EnterState>()];
        L2EnterState::read_from_bytes(bytes).ok()
    }

    fn write_state(&self, memory: &mut Memory, gpa: u64, state: &L2EnterState) -> Option<()> {
        let offset = gpa as usize % PAGE;
        let frame = self.td.sept.mapped(gpa / PAGE as u64)?;
        let bytes = &mut memory.page(frame)?[offset..offset + STATE_BYTES];
        bytes.copy_from_slice(&state.as_bytes()[..STATE_BYTES]);
        Some(())
    }
}

/// Registers of the virtual processor that all its VMs share, as the module switches none of
/// them: SYSCALL's MSRs, KERNEL_GS_BASE, CR2, DR6; x87 and SSE state stays where it is.
fn share(from: &Save, to: &mut Save) {
    (to.star, to.lstar, to.cstar) = (from.star, from.lstar, from.cstar);
    (to.sfmask, to.kernel_gs_base) = (from.sfmask, from.kernel_gs_base);
    (to.cr2, to.dr6) = (from.cr2, from.dr6);
}
