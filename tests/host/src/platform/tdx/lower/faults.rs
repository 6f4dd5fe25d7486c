//! Nested faults of the L2 VM: L1's where its page attributes deny, the host's where no page is.
//! Source: 354807, "EPT violations"; the decision is that of Intel's TDX module 1.5.

use super::Tdx;
use crate::{
    memory::frames::{Memory, PAGE, is_ram},
    platform::Step,
    report::End,
    silicon::tdx::{
        accept::LARGE,
        l2::exit::Exit,
        sept::{Entry, State},
        ve::ept_qualification,
        view::SHARED,
    },
    svm::{exit, npt},
    vmm::Vmm,
};
use tessera_defs::{
    breach::{self, Breach},
    tdx::{
        page::{SHARED_BIT, attr},
        status,
        tdcall::EXTENDED_PENDING,
    },
    vmx::{self, ept},
};

/// So often the vmm sends the same fault to L1 before it gives up.
const PATIENCE: u32 = 64;

impl Tdx {
    /// Resolves the fault that stands in the VMCB.
    pub(super) fn fault_lower(&mut self, vmm: &mut Vmm, memory: &mut Memory) -> Step {
        let control = &self.lower.vcpu.vmcb.control;
        let (gpa, info) = (control.exit_info_2, control.exit_info_1);
        if gpa >> (SHARED_BIT + 1) != 0 {
            return self.violation(memory, gpa, info, 0, 0);
        }
        if gpa & SHARED != 0 {
            return self.shared_lower(vmm, memory, gpa, info);
        }
        let gfn = gpa / PAGE as u64;
        let entry = self.td.sept.get(gfn);
        match entry.state {
            State::Mapped(frame) => self.private_lower(memory, gpa, info, entry, frame),
            State::Pending(_) => self.violation(memory, gpa, info, 0, EXTENDED_PENDING),
            State::Free if self.shared.contains(&gfn) => {
                self.unresolved(vmm, memory, gpa, info, &breach::SHARED_AS_PRIVATE)
            }
            State::Free if gpa >= memory.size() || !is_ram(gfn) => {
                self.unresolved(vmm, memory, gpa, info, &breach::OUT_OF_RANGE)
            }
            State::Free => self.back(vmm, memory, gfn),
        }
    }

    /// The vmm backs what the L2 VM touches: by 2 MiB where nothing is there yet.
    fn back(&mut self, vmm: &mut Vmm, memory: &mut Memory, gfn: u64) -> Step {
        let first = gfn & !(LARGE - 1);
        let free = self.td.sept.all(first, LARGE, |e| e.state == State::Free);
        match free && is_ram(first) && self.backed(memory, first) {
            true => self.augment(vmm, memory, first, true),
            false => self.augment(vmm, memory, gfn, false),
        }
    }

    /// A page of the TD: mapped as the attributes of the VM allow, or L1's to judge.
    fn private_lower(
        &mut self,
        memory: &mut Memory,
        gpa: u64,
        info: u64,
        entry: Entry,
        frame: u32,
    ) -> Step {
        let access = self.allowed(entry);
        let Some(access) = access.filter(|access| fits(*access, info)) else {
            return self.violation(memory, gpa, info, permissions(entry), 0);
        };
        self.lower.npt.map(gpa, memory.address(frame), access);
        Step::Continue
    }

    /// Nested tables cannot deny reading alone, or tell user from supervisor: a page without R
    /// is none, and X is that of the privilege level that faulted.
    fn allowed(&self, entry: Entry) -> Option<npt::Access> {
        let has = |bit| u64::from(entry.l2) & bit != 0;
        let user = self.lower.vcpu.vmcb.save.cpl == 3;
        let execute = match self.td.l2.mode_based_execute() && user {
            true => attr::XU,
            false => attr::XS,
        };
        has(attr::R).then_some(npt::Access {
            write: has(attr::W),
            execute: has(execute),
        })
    }

    fn violation(
        &mut self,
        memory: &mut Memory,
        gpa: u64,
        info: u64,
        permissions: u64,
        extended: u64,
    ) -> Step {
        let exit = Exit {
            qualification: ept_qualification(info) | permissions,
            gpa,
            extended,
            ..Exit::event(vmx::EPT_VIOLATION)
        };
        self.leave(memory, exit)
    }

    /// Shared memory, where L1 lets the VM have it. No code and no page tables stand there.
    fn shared_lower(&mut self, vmm: &mut Vmm, memory: &mut Memory, gpa: u64, info: u64) -> Step {
        let gfn = (gpa & !SHARED) / PAGE as u64;
        let open = self.td.l2.shared_ept() && self.shared.contains(&gfn);
        let frame = memory.frame(gfn).filter(|_| open);
        let Some(frame) = frame.filter(|_| info & (exit::NPF_FETCH | exit::NPF_WALK) == 0) else {
            return self.unresolved(vmm, memory, gpa, info, &breach::C_BIT_MISSING);
        };
        let data = npt::Access {
            write: true,
            execute: false,
        };
        self.lower.npt.map(gpa, memory.address(frame), data);
        Step::Continue
    }

    /// An EPT violation that goes to the vmm, which has nothing to map there: it resumes L1 with
    /// what it knows. L1 gets so many of them and no more.
    fn unresolved(
        &mut self,
        vmm: &mut Vmm,
        memory: &mut Memory,
        gpa: u64,
        info: u64,
        offence: &'static Breach,
    ) -> Step {
        let rip = self.lower.vcpu.vmcb.save.rip;
        vmm.offence = Some(offence);
        self.lower.routed = match self.lower.routed {
            (at, page, count) if (at, page) == (rip, gpa) => (rip, gpa, count + 1),
            _ => (rip, gpa, 1),
        };
        if self.lower.routed.2 > PATIENCE {
            return Step::End(match vmm.took_pages() {
                true => End::Denied(vmm.scenario.lie),
                false => End::Breach(offence),
            });
        }
        let exit = Exit {
            status: status::L2_EXIT_HOST_ROUTED_ASYNC,
            qualification: ept_qualification(info),
            gpa: gpa & !0xFFF,
            ..Exit::event(vmx::EPT_VIOLATION)
        };
        self.leave(memory, exit)
    }
}

/// What the access needs is there.
fn fits(access: npt::Access, info: u64) -> bool {
    (access.write || info & exit::NPF_WRITE == 0) && (access.execute || info & exit::NPF_FETCH == 0)
}

/// Bits 6:3 of the qualification.
fn permissions(entry: Entry) -> u64 {
    [
        (attr::R, ept::READABLE),
        (attr::W, ept::WRITABLE),
        (attr::XS, ept::EXECUTABLE),
        (attr::XU, ept::USER_EXECUTABLE),
    ]
    .into_iter()
    .filter(|(bit, _)| u64::from(entry.l2) & bit != 0)
    .fold(0, |sum, (_, bit)| sum | bit)
}
