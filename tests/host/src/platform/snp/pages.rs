//! PVALIDATE, RMPADJUST and RMPQUERY of the running context.

use super::{Context, Snp};
use crate::{
    memory::{
        frames::{Memory, PAGE},
        insn::Kind,
        walk,
    },
    platform::Step,
    report::End,
    silicon::snp::{
        access::Seen,
        instructions::{self, Pvalidate, Stop},
    },
    svm::vcpu::reg,
    vmm::{Vmm, lies},
};
use tessera_defs::{
    breach,
    snp::{rmp as code, vc},
    x86::vector,
};

const CF: u64 = 1 << 0;
const ZF: u64 = 1 << 6;
/// OF, SF, ZF, AF, PF, CF: defined by each instruction.
const FLAGS: u64 = 1 << 11 | 1 << 7 | ZF | 1 << 4 | 1 << 2 | CF;

impl Snp {
    /// Executes one of the three; RIP moves only where the instruction has a result.
    pub(super) fn page_instruction(
        &mut self,
        vmm: &mut Vmm,
        memory: &mut Memory,
        kind: Kind,
        length: u64,
    ) -> Step {
        let Some(context) = &mut self.vp.contexts[self.vp.current] else {
            return Step::Continue;
        };
        let save = context.vcpu.vmcb.save;
        if save.cpl != 0 {
            context.vcpu.inject_exception(vector::GP, Some(0));
            return Step::Continue;
        }
        let regs = context.vcpu.regs;
        let view = context.view;
        let mut seen = Seen {
            view,
            rmp: &self.rmp,
            memory,
        };
        let Some(found) = walk::translate(&save, &mut seen, regs[reg::RAX]) else {
            context.vcpu.vmcb.save.cr2 = regs[reg::RAX];
            context.vcpu.inject_exception(vector::PF, Some(0));
            return Step::Continue;
        };
        let (gpa, private) = view.split(found.gpa);
        if !private {
            return Step::End(End::Breach(&breach::C_BIT_MISSING));
        }
        let used = memory.frame(gpa / PAGE as u64);
        if used.is_some_and(|frame| self.rmp.get(frame).vmsa && self.in_use(vmm, frame)) {
            return Step::End(End::Breach(&breach::VMSA_IN_USE));
        }
        if kind == Kind::Rmpquery {
            return self.query(vmm, memory, gpa, length);
        }
        let size = regs[reg::RCX] as u32;
        let result = if kind == Kind::Pvalidate {
            vmm.note("pvalidate");
            // Here another processor hurts most: one that meets the page before it has permissions.
            vmm.pause();
            let validate = regs[reg::RDX] & 1 == 1;
            let operands = Pvalidate {
                gpa,
                size,
                validate,
            };
            instructions::pvalidate(&mut self.rmp, memory, view.vmpl, operands)
        } else {
            vmm.note("rmpadjust");
            let attributes = regs[reg::RDX];
            instructions::rmpadjust(&mut self.rmp, memory, view.vmpl, gpa, size, attributes)
                .map(|eax| (eax, false))
        };
        match result {
            Ok((eax, carry)) => self.page_result(vmm, kind, size, gpa, (eax, carry), length),
            Err(stop) => self.stopped(vmm, memory, gpa, stop),
        }
    }

    fn query(&mut self, vmm: &mut Vmm, memory: &mut Memory, gpa: u64, length: u64) -> Step {
        vmm.note("rmpquery");
        let Some(context) = &mut self.vp.contexts[self.vp.current] else {
            return Step::Continue;
        };
        let target = context.vcpu.regs[reg::RDX] as usize & 0xFF;
        let found = instructions::rmpquery(&self.rmp, memory, context.view.vmpl, gpa, target);
        match found {
            Ok(found) => {
                if found.status == code::SUCCESS {
                    context.vcpu.regs[reg::RCX] = found.size;
                    context.vcpu.regs[reg::RDX] = found.attributes;
                }
                context.result(found.status, false, length);
                Step::Continue
            }
            Err(stop) => self.stopped(vmm, memory, gpa, stop),
        }
    }

    fn stopped(&mut self, vmm: &mut Vmm, memory: &mut Memory, gpa: u64, stop: Stop) -> Step {
        match stop {
            Stop::NotValidated => self.vc(vmm, memory, vc::PAGE_NOT_VALIDATED, [0, gpa]),
            Stop::Host(fault) => self.host_fault(vmm, memory, gpa, fault),
        }
    }

    fn page_result(
        &mut self,
        vmm: &Vmm,
        kind: Kind,
        size: u32,
        gpa: u64,
        (eax, carry): (u32, bool),
        length: u64,
    ) -> Step {
        let count = if size == 1 { 512 } else { 1 };
        let Some(context) = &mut self.vp.contexts[self.vp.current] else {
            return Step::Continue;
        };
        let validate = kind == Kind::Pvalidate && context.vcpu.regs[reg::RDX] & 1 == 1;
        context.result(eax, carry, length);
        let first = gpa / PAGE as u64;
        match count {
            1 => self.forget(first),
            _ => self.forget_block(first),
        }
        if eax == code::FAIL_SIZEMISMATCH {
            vmm.tells(lies::SIZE_MISMATCH);
        }
        // A guest that probes the results looks at them.
        match (kind, eax) {
            _ if vmm.scenario.probing => return Step::Continue,
            (Kind::Pvalidate, code::FAIL_INPUT) => {
                return Step::End(End::Breach(&breach::PVALIDATE_INPUT));
            }
            (Kind::Rmpadjust, code::FAIL_PERMISSION) if self.vp.current == 0 => {
                return Step::End(End::Breach(&breach::RMPADJUST_DENIED));
            }
            _ => {}
        }
        if validate && eax == code::SUCCESS {
            // A second validation after an ignored one: the guest does not look at CF.
            if self.double_validation {
                return Step::End(End::Breach(&breach::DOUBLE_VALIDATION));
            }
            self.double_validation = carry;
            self.accepted += if carry { 0 } else { count };
        }
        Step::Continue
    }
}

impl Context {
    /// Ends an instruction with EAX and flags; the carry flag is PVALIDATE's.
    fn result(&mut self, eax: u32, carry: bool, length: u64) {
        self.vcpu.regs[reg::RAX] = eax.into();
        let flags = if carry { CF } else { 0 } | if eax == 0 { ZF } else { 0 };
        let rflags = &mut self.vcpu.vmcb.save.rflags;
        *rflags = *rflags & !FLAGS | flags;
        self.vcpu.skip(length);
    }
}
