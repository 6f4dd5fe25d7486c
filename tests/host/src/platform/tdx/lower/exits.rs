//! What the module does with an exit of the L2 VM: most of them are L1's. Source: 354807, "L2
//! VM exits"; the instructions of Intel SDM vol. 3, 26.1.2 and 26.1.3.

use super::{Tdx, run::is_interrupt, seen::Seen};
use crate::{
    memory::{
        frames::Memory,
        insn::{self, Instruction, Kind},
        walk,
    },
    platform::Step,
    silicon::tdx::{
        l2::{event, exit::Exit},
        leaves,
        ve::io_qualification,
    },
    svm::{exit, vcpu::reg},
    vmm::Vmm,
};
use tessera_defs::{
    breach,
    snp::vc,
    tdx::{status, tdcall::VP_VMCALL},
    vmx,
    x86::vector,
};

impl Tdx {
    /// Serves the exit that stands in the L2 VM's VMCB.
    pub(super) fn exit_lower(&mut self, vmm: &mut Vmm, memory: &mut Memory) -> Step {
        let code = self.lower.vcpu.vmcb.control.exit_code;
        match code {
            exit::NPF => self.fault_lower(vmm, memory),
            code if is_interrupt(code) => self.interrupted(vmm, memory),
            exit::VINTR => self.leave(memory, Exit::event(vmx::INTERRUPT_WINDOW)),
            vc::SHUTDOWN => self.leave(memory, Exit::event(vmx::TRIPLE_FAULT)),
            exit::INVALID | exit::INVALID_LOW => self.entry_failed(vmm),
            vc::IOIO => self.port_lower(memory),
            _ => {
                let found = self.instruction_lower(memory);
                self.decoded_lower(vmm, memory, code, found)
            }
        }
    }

    fn instruction_lower(&self, memory: &mut Memory) -> Instruction {
        let mut bytes = [0; 15];
        let save = &self.lower.vcpu.vmcb.save;
        let mut seen = Seen {
            td: &self.td,
            shared: &self.shared,
            memory,
        };
        let count = walk::read(save, &mut seen, self.lower.vcpu.linear_rip(), &mut bytes);
        insn::decode(&bytes[..count])
    }

    fn decoded_lower(
        &mut self,
        vmm: &mut Vmm,
        memory: &mut Memory,
        code: u64,
        found: Instruction,
    ) -> Step {
        let length = found.length;
        let instruction = |reason| Exit::instruction(reason, length);
        match (code, found.kind) {
            (vc::CPUID, _) => self.leave(memory, instruction(vmx::CPUID)),
            (vc::HLT, _) => self.leave(memory, instruction(vmx::HLT)),
            (vc::MSR, _) => self.msr_lower(vmm, memory, length),
            (vc::XSETBV, _) => self.leave(memory, instruction(vmx::XSETBV)),
            (vc::WBINVD | vc::INVD, Kind::Invd) => self.leave(memory, instruction(vmx::INVD)),
            (vc::WBINVD | vc::INVD, _) => self.leave(memory, instruction(vmx::WBINVD)),
            // L1 cannot ask for its exits, and there are no counters.
            (vc::RDPMC, _) => self.general_protection_lower(),
            (0..=0x1F, kind) => self.cr_lower(memory, kind, length),
            (exit::EXCEPTION_UD, Kind::Vmcall) => self.leave(memory, instruction(vmx::VMCALL)),
            (exit::EXCEPTION_UD, Kind::Tdcall) => self.tdcall_lower(vmm, memory, length),
            (exit::EXCEPTION_UD, kind) => {
                foreign(vmm, kind);
                self.undefined_lower(memory)
            }
            (0x40..=0x5F, _) => self.exception_lower(memory, (code - 0x40) as u8),
            (_, kind) => {
                foreign(vmm, kind);
                self.undefined_lower(memory)
            }
        }
    }

    fn port_lower(&mut self, memory: &mut Memory) -> Step {
        let vmcb = &self.lower.vcpu.vmcb;
        let length = vmcb.control.exit_info_2.wrapping_sub(vmcb.save.rip);
        let exit = Exit {
            qualification: io_qualification(vmcb.control.exit_info_1),
            ..Exit::instruction(vmx::IO, length)
        };
        self.leave(memory, exit)
    }

    /// An exception that L1 asked for.
    fn exception_lower(&mut self, memory: &mut Memory, vector: u8) -> Step {
        let vmcb = &self.lower.vcpu.vmcb;
        let (code, address) = (vmcb.control.exit_info_1 as u32, vmcb.control.exit_info_2);
        let error = event::has_code(vector).then_some(code);
        if vector == vector::PF && !self.page_fault_exits(code) {
            self.lower.vcpu.vmcb.save.cr2 = address;
            self.lower.vcpu.inject_exception(vector, error);
            return Step::Continue;
        }
        // INT3 is one byte; INTO does not exist in 64-bit mode.
        let length = u64::from(vector == 3);
        let exit = Exit {
            qualification: if vector == vector::PF { address } else { 0 },
            interruption: event::exception(vector, error),
            ..Exit::instruction(vmx::EXCEPTION, length)
        };
        self.leave(memory, exit)
    }

    /// Intel SDM vol. 3, 26.2: the bitmap's bit counts where mask and match say so.
    fn page_fault_exits(&self, code: u32) -> bool {
        let read = |encoding| self.td.l2.vmcs.get(encoding) as u32;
        let matches =
            code & read(vmx::vmcs::PF_ERROR_CODE_MASK) == read(vmx::vmcs::PF_ERROR_CODE_MATCH);
        matches == (read(vmx::vmcs::EXCEPTION_BITMAP) >> vector::PF & 1 == 1)
    }

    /// #UD of the L2 VM: its own, unless L1 wants it.
    pub(super) fn undefined_lower(&mut self, memory: &mut Memory) -> Step {
        let bitmap = self.td.l2.vmcs.get(vmx::vmcs::EXCEPTION_BITMAP);
        if bitmap >> vector::UD & 1 == 1 {
            return self.exception_lower(memory, vector::UD);
        }
        self.lower.vcpu.inject_exception(vector::UD, None);
        Step::Continue
    }

    pub(super) fn general_protection_lower(&mut self) -> Step {
        self.lower.vcpu.inject_exception(vector::GP, Some(0));
        Step::Continue
    }

    /// TDCALL is L1's, but for TDG.VP.VMCALL where L1 lets it go to the host.
    fn tdcall_lower(&mut self, vmm: &mut Vmm, memory: &mut Memory, length: u64) -> Step {
        let save = &self.lower.vcpu.vmcb.save;
        if save.cpl != 0 {
            return self.general_protection_lower();
        }
        let code64 = self.lower.vcpu.long_mode() && save.cs.attrib & 1 << 9 != 0;
        let rax = self.lower.vcpu.regs[reg::RAX];
        if !self.td.l2.tdvmcall() || rax & 0xFFFF != VP_VMCALL {
            return self.leave(memory, Exit::instruction(vmx::TDCALL, length));
        }
        if !code64 {
            return self.general_protection_lower();
        }
        if rax != VP_VMCALL || !leaves::may_expose(self.lower.vcpu.regs[reg::RCX]) {
            let operand = u64::from(rax == VP_VMCALL);
            vmm.offence = Some(&breach::VMCALL_LEAK);
            self.lower.vcpu.regs[reg::RAX] = status::OPERAND_INVALID | operand;
            self.lower.vcpu.skip(length);
            return Step::Continue;
        }
        self.lower.vcpu.skip(length);
        let mut regs = self.lower.vcpu.regs;
        let step = self.vmcall(vmm, memory, &mut regs);
        self.lower.vcpu.regs = regs;
        step
    }
}

fn foreign(vmm: &mut Vmm, kind: Kind) {
    if matches!(
        kind,
        Kind::Vmgexit | Kind::Pvalidate | Kind::Rmpadjust | Kind::Rmpquery | Kind::Vmmcall
    ) {
        vmm.offence = Some(&breach::FOREIGN_INSTRUCTION);
    }
}
