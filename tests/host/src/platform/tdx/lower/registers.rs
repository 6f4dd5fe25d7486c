//! Accesses of the L2 VM to MSRs, CR0 and CR4: its own, the module's or L1's.

use super::Tdx;
use crate::{
    memory::{frames::Memory, insn::Kind},
    platform::Step,
    report::End,
    silicon::tdx::l2::{
        cr::Write,
        exit::Exit,
        msr::{self, Served},
        vapic::Access,
    },
    svm::vcpu::reg,
    vmm::Vmm,
};
use tessera_defs::{vmx, x86::efer};

const CR0_TS: u64 = 1 << 3;
const CR0_PG: u64 = 1 << 31;
const CR4_PAE: u64 = 1 << 5;
const CR4_VMXE: u64 = 1 << 13;
/// Access type in the exit qualification: MOV from, CLTS.
const MOV_FROM: u64 = 1 << 4;
const CLTS: u64 = 2 << 4;
const GENERAL_SHIFT: u32 = 8;

/// L, in the attributes of CS.
const CS_LONG: u16 = 1 << 9;

/// What a change of CR0.PG comes to.
enum Paging {
    /// The register may have it.
    Same,
    /// #GP(0).
    Fault,
    /// Paging of 32 bits, which is not modelled.
    Legacy,
}

impl Tdx {
    /// RDMSR or WRMSR.
    pub(super) fn msr_lower(&mut self, vmm: &mut Vmm, memory: &mut Memory, length: u64) -> Step {
        let vcpu = &mut self.lower.vcpu;
        let msr = vcpu.regs[reg::RCX] as u32;
        let write = (vcpu.vmcb.control.exit_info_1 != 0).then(|| vcpu.edx_eax());
        let reason = if write.is_some() {
            vmx::MSR_WRITE
        } else {
            vmx::MSR_READ
        };
        let value = match msr::access(&self.td.l2, &mut vcpu.vmcb.save, msr, write) {
            Served::L1 => return self.leave(memory, Exit::instruction(reason, length)),
            Served::Fault => return self.general_protection_lower(),
            Served::Register(value) => value,
            Served::Tsc => vmm.now(),
            Served::Apic => return self.apic_lower(memory, msr, write, length),
        };
        self.finish_msr(value, write.is_none(), length)
    }

    fn finish_msr(&mut self, value: u64, read: bool, length: u64) -> Step {
        if read {
            self.lower.vcpu.set_edx_eax(value);
        }
        self.lower.vcpu.skip(length);
        Step::Continue
    }

    fn apic_lower(
        &mut self,
        memory: &mut Memory,
        msr: u32,
        write: Option<u64>,
        length: u64,
    ) -> Step {
        let exits = [0x201C, 0x201E, 0x2020, 0x2022].map(|at| self.td.l2.vmcs.get(at));
        let access = self.apic(memory, |apic| match write {
            Some(value) => apic.write(msr, value, exits),
            None => apic.read(msr),
        });
        match access {
            Some(Access::Done(value)) => self.finish_msr(value, write.is_none(), length),
            Some(Access::Eoi(vector)) => {
                // A trap: the instruction is done.
                self.lower.vcpu.skip(length);
                let exit = Exit {
                    qualification: vector.into(),
                    ..Exit::event(vmx::VIRTUALIZED_EOI)
                };
                self.leave(memory, exit)
            }
            Some(Access::Fault) => self.general_protection_lower(),
            None => Step::End(End::Denied("l2-apic-page-gone")),
        }
    }

    /// MOV to and from CR0 and CR4, and CLTS. LMSW and SMSW are not modelled.
    pub(super) fn cr_lower(&mut self, memory: &mut Memory, kind: Kind, length: u64) -> Step {
        let fields = &self.td.l2.vmcs;
        let save = &self.lower.vcpu.vmcb.save;
        let (cr0, cr4) = (save.cr0, save.cr4 | CR4_VMXE);
        match kind {
            Kind::MovFromCr(cr @ (0 | 4), general) => {
                let value = match cr {
                    0 => fields.cr0.seen_by_l2(cr0),
                    _ => fields.cr4.seen_by_l2(cr4),
                };
                self.lower.vcpu.regs[usize::from(general)] = value;
                self.lower.vcpu.skip(length);
                Step::Continue
            }
            Kind::MovToCr(0, general) => {
                let value = self.lower.vcpu.regs[usize::from(general)];
                let written = fields.cr0.write_cr0(cr0, value);
                let qualification = u64::from(general) << GENERAL_SHIFT;
                self.write_cr0(memory, written, qualification, length)
            }
            Kind::Clts => {
                // L1's shadow of TS is what a write of CR0 would be compared with.
                let value = fields.cr0.seen_by_l2(cr0) & !CR0_TS;
                let written = match fields.cr0.mask & CR0_TS {
                    0 => fields.cr0.write_cr0(cr0, value),
                    _ => Write::Exit,
                };
                self.write_cr0(memory, written, CLTS, length)
            }
            Kind::MovToCr(4, general) => {
                let value = self.lower.vcpu.regs[usize::from(general)];
                let qualification = 4 | u64::from(general) << GENERAL_SHIFT;
                match fields.cr4.write_cr4(cr4, value) {
                    Write::Done(new) if new & CR4_PAE != 0 || !self.lower.vcpu.long_mode() => {
                        self.lower.vcpu.vmcb.save.cr4 = new & !CR4_VMXE;
                        self.lower.vcpu.skip(length);
                        Step::Continue
                    }
                    // PAE cannot go in long mode.
                    Write::Done(_) | Write::Fault => self.general_protection_lower(),
                    Write::Exit => self.leave_cr(memory, qualification, length),
                }
            }
            Kind::MovFromCr(cr, general) => {
                let general = u64::from(general) << GENERAL_SHIFT;
                self.leave_cr(memory, u64::from(cr) | MOV_FROM | general, length)
            }
            _ => Step::End(End::Denied("l2-control-register-instruction")),
        }
    }

    fn write_cr0(
        &mut self,
        memory: &mut Memory,
        written: Write,
        qualification: u64,
        length: u64,
    ) -> Step {
        match written {
            Write::Done(new) => match self.paging_lower(new) {
                Paging::Same => {
                    self.lower.vcpu.vmcb.save.cr0 = new;
                    self.lower.vcpu.skip(length);
                    Step::Continue
                }
                Paging::Fault => self.general_protection_lower(),
                Paging::Legacy => Step::End(End::Denied("l2-without-long-mode")),
            },
            Write::Fault => self.general_protection_lower(),
            Write::Exit => self.leave_cr(memory, qualification, length),
        }
    }

    /// What a new CR0 makes of EFER.LMA (Intel SDM vol. 3, 9.8.5): long mode begins with paging and
    /// ends with it, outside 64-bit code.
    fn paging_lower(&mut self, new: u64) -> Paging {
        let save = &mut self.lower.vcpu.vmcb.save;
        let code64 = save.efer & efer::LMA != 0 && save.cs.attrib & CS_LONG != 0;
        match (save.cr0 & CR0_PG != 0, new & CR0_PG != 0) {
            (true, false) if code64 => return Paging::Fault,
            (true, false) => save.efer &= !efer::LMA,
            (false, true) if save.efer & efer::LME == 0 => return Paging::Legacy,
            (false, true) if save.cr4 & CR4_PAE == 0 => return Paging::Fault,
            (false, true) => save.efer |= efer::LMA,
            _ => {}
        }
        Paging::Same
    }

    fn leave_cr(&mut self, memory: &mut Memory, qualification: u64, length: u64) -> Step {
        let exit = Exit {
            qualification,
            ..Exit::instruction(vmx::CR_ACCESS, length)
        };
        self.leave(memory, exit)
    }
}
