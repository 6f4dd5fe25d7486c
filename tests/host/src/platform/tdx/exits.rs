//! What the module does with an exit: serve it, make a #VE of it, or stop the guest.

use super::Tdx;
use crate::{
    memory::{
        frames::Memory,
        insn::{self, Instruction, Kind},
        walk,
    },
    platform::{Step, enter},
    silicon::tdx::{
        ve::{Info, io_qualification},
        view,
    },
    svm::{exit, vcpu::reg},
    vmm::Vmm,
};
use tessera_defs::{
    breach,
    snp::vc,
    tdx::{cpuid, msr::virtual_apic},
    vmx,
    x86::{MSR_APIC_BASE, vector, x2apic},
};

/// Double fault.
const DF: u8 = 8;
const MSR_TSC: u32 = 0x10;
const MSR_MISC_ENABLE: u32 = 0x1A0;

impl Tdx {
    /// Serves the exit that stands in the VMCB.
    pub(super) fn exit(&mut self, vmm: &mut Vmm, memory: &mut Memory) -> Step {
        let code = self.vcpu.vmcb.control.exit_code;
        match code {
            exit::NPF => self.nested_fault(vmm, memory),
            exit::INTR | exit::NMI | exit::VINTR => Step::Continue,
            vc::SHUTDOWN | exit::INVALID | exit::INVALID_LOW => Step::End(enter::shutdown(vmm)),
            vc::IOIO => self.port(),
            _ => {
                let found = self.instruction(memory);
                self.decoded(vmm, memory, code, found)
            }
        }
    }

    fn instruction(&self, memory: &mut Memory) -> Instruction {
        let mut bytes = [0; 15];
        let save = &self.vcpu.vmcb.save;
        let mut seen = view::Seen {
            sept: &self.td.sept,
            shared: &self.shared,
            memory,
        };
        let count = walk::read(save, &mut seen, self.vcpu.linear_rip(), &mut bytes);
        insn::decode(&bytes[..count])
    }

    fn decoded(
        &mut self,
        vmm: &mut Vmm,
        memory: &mut Memory,
        code: u64,
        found: Instruction,
    ) -> Step {
        match (code, found.kind) {
            (vc::CPUID, _) => self.cpuid(vmm, found.length),
            (vc::MSR, _) => self.msr(vmm, found.length),
            (vc::HLT, _) => self.exception(vmx::HLT, 0, 0, found.length),
            (vc::WBINVD | vc::INVD, Kind::Invd) => self.exception(vmx::INVD, 0, 0, found.length),
            (vc::WBINVD | vc::INVD, _) => self.exception(vmx::WBINVD, 0, 0, found.length),
            (vc::MONITOR, _) => self.exception(vmx::MONITOR, 0, 0, found.length),
            (vc::MWAIT, _) => self.exception(vmx::MWAIT, 0, 0, found.length),
            // ATTRIBUTES.PERFMON is never set here.
            (vc::RDPMC, _) => self.general_protection(),
            (exit::EXCEPTION_UD, Kind::Vmcall) => self.exception(vmx::VMCALL, 0, 0, found.length),
            (exit::EXCEPTION_UD, Kind::Tdcall) => self.tdcall(vmm, memory, found.length),
            (_, kind) => {
                if matches!(
                    kind,
                    Kind::Vmgexit
                        | Kind::Pvalidate
                        | Kind::Rmpadjust
                        | Kind::Rmpquery
                        | Kind::Vmmcall
                ) {
                    vmm.offence = Some(&breach::FOREIGN_INSTRUCTION);
                }
                self.undefined()
            }
        }
    }

    pub(super) fn undefined(&mut self) -> Step {
        self.vcpu.inject_exception(vector::UD, None);
        Step::Continue
    }

    pub(super) fn general_protection(&mut self) -> Step {
        self.vcpu.inject_exception(vector::GP, Some(0));
        Step::Continue
    }

    /// #VE; a second one before the first was fetched is a double fault.
    pub(super) fn exception(
        &mut self,
        reason: u32,
        qualification: u64,
        gpa: u64,
        length: u64,
    ) -> Step {
        if self.td.ve.is_some() {
            self.vcpu.inject_exception(DF, Some(0));
            return Step::Continue;
        }
        self.td.ve = Some(Info {
            reason,
            qualification,
            gla: 0,
            gpa,
            length: length as u32,
        });
        self.vcpu.inject_exception(vector::VE, None);
        Step::Continue
    }

    fn port(&mut self) -> Step {
        let control = &self.vcpu.vmcb.control;
        let qualification = io_qualification(control.exit_info_1);
        let length = control.exit_info_2.wrapping_sub(self.vcpu.vmcb.save.rip);
        self.exception(vmx::IO, qualification, 0, length)
    }

    /// The module answers all leaves but the hypervisor's, unless the TD wants #VE (TDG.VP.CPUIDVE.SET).
    fn cpuid(&mut self, vmm: &mut Vmm, length: u64) -> Step {
        let (leaf, sub) = (
            self.vcpu.regs[reg::RAX] as u32,
            self.vcpu.regs[reg::RCX] as u32,
        );
        let asked = self.td.cpuid_ve >> u8::from(self.vcpu.vmcb.save.cpl != 0) & 1 == 1;
        if asked || (0x4000_0000..=0x4000_FFFF).contains(&leaf) {
            return self.exception(vmx::CPUID, 0, 0, length);
        }
        let [ebx, ecx, edx] = cpuid::SIGNATURE;
        let mut answer = match leaf {
            cpuid::LEAF if sub == 0 => [0, ebx, ecx, edx],
            _ => vmm.cpuid(leaf, (vmm.machine.cpuid)(leaf, sub)),
        };
        if leaf == 0 {
            answer[0] = answer[0].max(cpuid::LEAF);
        }
        let places = [reg::RAX, reg::RBX, reg::RCX, reg::RDX];
        places.into_iter().zip(answer).for_each(|(at, value)| {
            self.vcpu.regs[at] = u64::from(value);
        });
        self.vcpu.skip(length);
        Step::Continue
    }

    /// Virtualised registers are served here, the rest is a #VE. Source: 348549, "MSR
    /// Virtualization".
    fn msr(&mut self, vmm: &mut Vmm, length: u64) -> Step {
        let msr = self.vcpu.regs[reg::RCX] as u32;
        let write = self.vcpu.vmcb.control.exit_info_1 != 0;
        let native = match msr {
            MSR_TSC | MSR_APIC_BASE | MSR_MISC_ENABLE => !write,
            x2apic::SELF_IPI => true,
            _ => virtual_apic(msr),
        };
        let reason = if write { vmx::MSR_WRITE } else { vmx::MSR_READ };
        if !native {
            return self.exception(reason, 0, 0, length);
        }
        let done = match write {
            true => vmm.write_msr(msr, self.vcpu.edx_eax()),
            false => vmm.read_msr(msr).map(|value| self.vcpu.set_edx_eax(value)),
        };
        match done {
            Some(()) => self.vcpu.skip(length),
            None => return self.general_protection(),
        }
        Step::Continue
    }
}
