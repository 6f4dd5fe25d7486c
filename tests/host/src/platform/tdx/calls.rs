//! TDCALL: the module's leaves, and through TDG.VP.VMCALL the vmm.

use super::Tdx;
use crate::{
    memory::frames::{Memory, PAGE},
    platform::{Access, Step, Technology},
    silicon::tdx::{
        leaves::{self, Served},
        view::SHARED,
    },
    svm::vcpu::reg,
    vmm::{
        Vmm,
        hypercall::{Hypercall, repeated},
        registers::SetRegisters,
        tdvmcall::{Answer, Registers, answer},
    },
};
use tessera_defs::{
    breach, hyperv,
    tdx::{
        status,
        tdcall::{
            MEM_PAGE_ACCEPT, MEM_PAGE_ATTR_WR, MR_REPORT, MR_RTMR_EXTEND, VP_RD, VP_VMCALL, VP_WR,
        },
        vmcall,
    },
};

const R10: usize = 10;

impl Tdx {
    /// One TDCALL. It needs 64-bit mode and ring 0 (Intel SDM vol. 2, TDCALL).
    pub(super) fn tdcall(&mut self, vmm: &mut Vmm, memory: &mut Memory, length: u64) -> Step {
        let save = &self.vcpu.vmcb.save;
        if !self.vcpu.long_mode() || save.cs.attrib & 1 << 9 == 0 {
            return self.undefined();
        }
        if save.cpl != 0 {
            return self.general_protection();
        }
        let leaf = self.vcpu.regs[reg::RAX] & 0xFFFF;
        let name = match leaf {
            MEM_PAGE_ACCEPT => "accept",
            MEM_PAGE_ATTR_WR => "page-attributes",
            MR_RTMR_EXTEND => "rtmr-extend",
            MR_REPORT => "tdreport",
            _ => "tdcall",
        };
        let served = leaves::serve(&mut self.td, memory, &mut self.vcpu.regs);
        // One that the host has to serve first comes again.
        if !matches!(served, Served::Missing { .. } | Served::Demote(_)) {
            vmm.note(name);
        }
        match served {
            Served::Done => self.judge(vmm, leaf),
            Served::Unknown => vmm.offence = Some(&breach::TDCALL_UNKNOWN),
            Served::Missing { gfn, large } => return self.augment(vmm, memory, gfn, large),
            Served::Demote(gfn) => {
                self.td.sept.demote(gfn);
                return Step::Continue;
            }
            Served::Enter => return self.vp_enter(vmm, memory, length),
            Served::Vmcall => {
                self.vcpu.skip(length);
                let mut regs = self.vcpu.regs;
                let step = self.vmcall(vmm, memory, &mut regs);
                self.vcpu.regs = regs;
                return step;
            }
        }
        self.vcpu.skip(length);
        Step::Continue
    }

    /// Remembers misuse, in case that the guest dies of it.
    fn judge(&self, vmm: &mut Vmm, leaf: u64) {
        let result = self.vcpu.regs[reg::RAX] & status::CLASS_MASK;
        match (leaf, result) {
            (MEM_PAGE_ACCEPT, status::OPERAND_INVALID) => {
                vmm.offence = Some(&breach::UNALIGNED_ACCEPT);
            }
            (MEM_PAGE_ACCEPT, status::PAGE_ALREADY_ACCEPTED) if !vmm.took_pages() => {
                vmm.offence = Some(&breach::DOUBLE_VALIDATION);
            }
            (VP_VMCALL, _) => vmm.offence = Some(&breach::VMCALL_LEAK),
            (VP_RD | VP_WR, result) if result & status::ERROR != 0 => {
                vmm.offence = Some(&breach::METADATA_DENIED);
            }
            (MEM_PAGE_ATTR_WR, status::OPERAND_INVALID | status::PAGE_ATTR_INVALID) => {
                vmm.offence = Some(&breach::PAGE_ATTR_INPUT);
            }
            (_, status::OPERAND_INVALID) => vmm.offence = Some(&breach::TDCALL_OPERAND),
            _ => {}
        }
    }

    /// TDG.VP.VMCALL with the registers of the VM that called.
    pub(super) fn vmcall(
        &mut self,
        vmm: &mut Vmm,
        memory: &mut Memory,
        regs: &mut [u64; 16],
    ) -> Step {
        let mask = regs[reg::RCX];
        // A register that is zero shows nothing.
        let zero = (0..16)
            .filter(|at| regs[*at] == 0)
            .fold(0, |bits, at| bits | 1 << at);
        let judged = mask & !(zero & !vmcall::STANDARD_MASK);
        let exposed = |at: usize| if mask >> at & 1 == 1 { regs[at] } else { 0 };
        let registers: Registers = core::array::from_fn(|i| exposed(R10 + i));
        let input = [exposed(reg::RDX), exposed(reg::R8)];
        self.attack(vmm, memory);
        if registers[..2] == [0, vmcall::HLT] {
            // Who waits may wait for a quote.
            self.quotes(vmm, memory, true);
        }
        let result = match vmm.tdvmcall(judged, registers) {
            Answer::Done(result) => result,
            Answer::MapGpa { gpa, len } => {
                let (status, at) = self.map_gpa(vmm, memory, gpa, len);
                answer(registers, status, at)
            }
            Answer::GetQuote { gpa, len } => {
                let status = self.get_quote(vmm, memory, gpa, len);
                answer(registers, status, 0)
            }
            Answer::Hypercall => {
                let result = self.hypercall(vmm, memory, registers[0], input);
                answer(registers, registers[0], result)
            }
            Answer::End(end) => return Step::End(end),
        };
        // The host writes only what it was shown.
        for (i, value) in result.into_iter().enumerate() {
            if mask >> (R10 + i) & 1 == 1 {
                regs[R10 + i] = value;
            }
        }
        regs[reg::RAX] = status::SUCCESS;
        Step::Continue
    }

    /// HvCallSetVpRegisters: an L1's, of its L2 VM. All else of that is the module's.
    fn set_registers(&mut self, vmm: &mut Vmm, memory: &Memory, set: &SetRegisters) -> u64 {
        vmm.note("set-vp-registers");
        if self.td.l2_vms == 0 || vmm.vp().below {
            return hyperv::HV_STATUS_ACCESS_DENIED.into();
        }
        set.each(|name, value| match set.vtl {
            0 => vmm.set_lower(name, value, |gpa| {
                self.host_access(memory, gpa, Access::Write).is_some()
            }),
            _ => hyperv::HV_STATUS_INVALID_VTL_STATE,
        })
    }

    /// TLFS: the input page must be one that the host can read, named with the shared bit or
    /// without. A fast call has its input in the registers.
    fn hypercall(
        &mut self,
        vmm: &mut Vmm,
        memory: &mut Memory,
        control: u64,
        registers: [u64; 2],
    ) -> u64 {
        let call = if control & hyperv::HYPERCALL_FAST != 0 {
            vmm.hypercall(control, registers.map(u64::to_le_bytes).as_flattened())
        } else {
            let gpa = registers[0] & !SHARED;
            let frame = self.host_access(memory, gpa, Access::Read);
            let page = frame.and_then(|frame| memory.page(frame));
            let input = page.map(|page| &page[gpa as usize % PAGE..]);
            vmm.hypercall(control, input.unwrap_or(&[]))
        };
        match call {
            Hypercall::Done(result) => result,
            Hypercall::Registers(set) => self.set_registers(vmm, memory, &set),
            Hypercall::Output(result, bytes) => {
                vmm.writes.push((registers[1] & !SHARED, bytes));
                result
            }
            // Every processor of a TD runs from its launch on.
            Hypercall::Start(_) => {
                vmm.offence = Some(&breach::PROCESSOR_RUNS);
                hyperv::HV_STATUS_INVALID_VP_STATE.into()
            }
            Hypercall::Visibility { frames, shared } => {
                match self.change_visibility(vmm, memory, &frames, shared) {
                    done if done == frames.len() => repeated(hyperv::HV_STATUS_SUCCESS, done),
                    done => repeated(hyperv::HV_STATUS_ACCESS_DENIED, done),
                }
            }
        }
    }
}
