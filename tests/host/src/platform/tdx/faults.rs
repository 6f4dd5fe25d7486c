//! Nested faults: what silicon maps, what the host augments, what the TD did wrong.

use super::Tdx;
use crate::{
    memory::{
        frames::{Memory, PAGE},
        linear, walk,
    },
    platform::Step,
    report::End,
    silicon::tdx::{
        state,
        ve::ept_qualification,
        view::{self, Outcome, SHARED},
    },
    svm::{exit, npt},
    vmm::{Vmm, lies},
};
use tessera_defs::{breach, snp::vc, tdx::field::attributes, vmx};

impl Tdx {
    /// Resolves the fault that stands in the VMCB.
    pub(super) fn nested_fault(&mut self, vmm: &mut Vmm, memory: &mut Memory) -> Step {
        let control = &self.vcpu.vmcb.control;
        let (gpa, info) = (control.exit_info_2, control.exit_info_1);
        let gfn = (gpa & !SHARED) / PAGE as u64;
        if self.vcpu.vmcb.save.cr3 == state::TABLES && gpa & SHARED == 0 && gpa >= state::TABLES {
            let frame = self.tables[usize::from(gpa >= state::TABLES + PAGE as u64)];
            self.npt.map(gpa, memory.address(frame), npt::ALL);
            return Step::Continue;
        }
        match view::resolve(&self.td.sept, &self.shared, memory, gpa) {
            Outcome::Private(frame) => self.npt.map(gpa, memory.address(frame), npt::ALL),
            Outcome::Shared(_) if info & (exit::NPF_FETCH | exit::NPF_WALK) != 0 => {
                return Step::End(End::Breach(&breach::C_BIT_MISSING));
            }
            Outcome::Shared(frame) => {
                let data = npt::Access {
                    write: true,
                    execute: false,
                };
                self.npt.map(gpa, memory.address(frame), data);
            }
            Outcome::Pending => return self.pending(vmm, gpa, info),
            Outcome::Missing => return self.augment(vmm, memory, gfn, false),
            Outcome::Device => return self.device(vmm, memory, gpa, info),
            Outcome::Beyond => return Step::End(End::Breach(&breach::OUT_OF_RANGE)),
        }
        Step::Continue
    }

    /// An unaccepted page. Where the TD gets no #VE, the host could only enter it again.
    fn pending(&mut self, vmm: &mut Vmm, gpa: u64, info: u64) -> Step {
        let lied = vmm.took_pages();
        if self.td.attributes & attributes::SEPT_VE_DISABLE != 0 || self.vectoring() {
            return Step::End(match lied {
                true => End::Denied(vmm.scenario.lie),
                false => End::Breach(&breach::UNVALIDATED_ACCESS),
            });
        }
        if !lied {
            vmm.offence = Some(&breach::UNVALIDATED_ACCESS);
        }
        self.exception(vmx::EPT_VIOLATION, ept_qualification(info), gpa, 0)
    }

    fn vectoring(&self) -> bool {
        self.vcpu.vmcb.control.event_inj & vc::event::VALID != 0
    }

    /// Nothing in the shared EPT: a device, or memory that the TD never asked to share.
    fn device(&mut self, vmm: &Vmm, memory: &mut Memory, gpa: u64, info: u64) -> Step {
        let gfn = (gpa & !SHARED) / PAGE as u64;
        if vmm.told() && vmm.scenario.lies(lies::PSC_LIES) {
            return Step::End(End::Denied(lies::PSC_LIES));
        }
        if memory.frame(gfn).is_some() || self.td.sept.mapped(gfn).is_some() {
            return Step::End(End::Breach(&breach::C_BIT_MISSING));
        }
        if self.vectoring() {
            return Step::End(End::Breach(&breach::OUT_OF_RANGE));
        }
        let gla = self.linear(memory);
        let valid = u64::from(gla.is_some()) << 7;
        let step = self.exception(vmx::EPT_VIOLATION, ept_qualification(info) | valid, gpa, 0);
        if let (Some(gla), Some(ve)) = (gla, &mut self.td.ve) {
            ve.gla = gla;
        }
        step
    }

    /// The linear address that the instruction at RIP uses: a data access, not a table walk.
    fn linear(&self, memory: &mut Memory) -> Option<u64> {
        let save = &self.vcpu.vmcb.save;
        let mut bytes = [0; 15];
        let mut seen = view::Seen {
            sept: &self.td.sept,
            shared: &self.shared,
            memory,
        };
        walk::read(save, &mut seen, save.rip, &mut bytes);
        linear::operand(&bytes, save, &self.vcpu.regs)
    }
}
