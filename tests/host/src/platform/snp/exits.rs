//! What silicon does with an exit: answers it, turns it into #VC, or shows it to the host.

use super::Snp;
use crate::{
    memory::{
        frames::{Memory, PAGE, is_ram},
        insn::Kind,
    },
    platform::{Step, enter},
    report::End,
    silicon::{
        deliver,
        snp::{
            access::{Fault, Outcome, Seen, Wants},
            injection::Injection,
            io,
        },
    },
    svm::{exit, vcpu::reg},
    vmm::{Vmm, lies},
};
use tessera_defs::{
    breach,
    snp::{
        ghcb_msr,
        status::{self, features},
        vc,
    },
    x86::vector,
};

const MSR_TSC: u32 = 0x10;

impl Snp {
    /// Serves the exit of the current context.
    pub(super) fn exit(&mut self, vmm: &mut Vmm, memory: &mut Memory) -> Step {
        let (code, info) = vmm.last_exit;
        match code {
            exit::NPF => self.nested_fault(vmm, memory, info),
            exit::INTR | exit::NMI | exit::VINTR => self.interrupted(vmm, memory),
            vc::SHUTDOWN => Step::End(enter::shutdown(vmm)),
            exit::INVALID | exit::INVALID_LOW => Step::End(End::Breach(&breach::VMSA_INVALID)),
            vc::MSR => self.msr(vmm, memory, info),
            vc::VMMCALL => match self.instruction(memory) {
                found if found.kind == Kind::Vmgexit => self.vmgexit(vmm, memory, found.length),
                _ => self.vc(vmm, memory, code, [0; 2]),
            },
            exit::EXCEPTION_UD => self.undefined(vmm, memory),
            vc::IOIO => {
                let (bytes, count) = self.bytes(memory);
                let access = io::complete(info[0], &bytes[..count], self.width());
                self.vc(vmm, memory, code, [access, info[1]])
            }
            vc::HLT => self.halt(vmm, memory),
            // QEMU's exit for INVD, too.
            vc::WBINVD if self.instruction(memory).kind == Kind::Invd => {
                self.vc(vmm, memory, vc::INVD, [0; 2])
            }
            vc::CPUID | vc::WBINVD | vc::MONITOR | vc::MWAIT | vc::RDPMC => {
                self.vc(vmm, memory, code, [0; 2])
            }
            vc::DR7_READ | vc::DR7_WRITE => self.vc(vmm, memory, code, [0; 2]),
            _ => {
                self.inject(vector::UD, None);
                Step::Continue
            }
        }
    }

    /// HLT is an automatic exit: no #VC, the host sees it, RIP is behind it (APM vol. 2, table
    /// 15-35). Below a paravisor the host runs VMPL 0, which finds it in the save area so, as
    /// OpenVMM's does ("RIP has already advanced").
    fn halt(&mut self, vmm: &mut Vmm, memory: &mut Memory) -> Step {
        let Some(context) = &mut self.vp.contexts[self.vp.current] else {
            return Step::Continue;
        };
        context.vcpu.skip(1);
        if self.vp.current != 0 {
            context.reflect(memory, vc::HLT, [0; 2], context.vcpu.vmcb.save.rip);
            self.switch(vmm, memory, 0);
            return Step::Continue;
        }
        // #HV asks for no flag.
        let open = context.vcpu.vmcb.save.rflags & 1 << 9 != 0;
        vmm.halt(open || context.injection == Injection::Restricted);
        Step::Continue
    }

    pub(super) fn inject(&mut self, vector: u8, error: Option<u32>) {
        if let Some(context) = &mut self.vp.contexts[self.vp.current] {
            context.vcpu.inject_exception(vector, error);
        }
    }

    /// #VC: delivered through the guest's IDT, or with ReflectVC shown to VMPL 0.
    pub(super) fn vc(
        &mut self,
        vmm: &mut Vmm,
        memory: &mut Memory,
        code: u64,
        info: [u64; 2],
    ) -> Step {
        let length = self.instruction(memory).length;
        let Some(context) = &mut self.vp.contexts[self.vp.current] else {
            return Step::Continue;
        };
        if context.features & features::REFLECT_VC != 0 {
            let nrip = match code {
                vc::IOIO => info[1],
                vc::NPF | vc::PAGE_NOT_VALIDATED => 0,
                _ => context.vcpu.vmcb.save.rip.wrapping_add(length),
            };
            let shown = if code == vc::IOIO { [info[0], 0] } else { info };
            context.reflect(memory, code, shown, nrip);
            context.vcpu.vmcb.control.event_inj = 0;
            return match self.switch(vmm, memory, 0) {
                true => Step::Continue,
                false => Step::End(End::Breach(&breach::VMSA_INVALID)),
            };
        }
        if code == vc::PAGE_NOT_VALIDATED {
            vmm.offence = Some(&breach::UNVALIDATED_ACCESS);
        }
        // An event whose delivery was interrupted is lost to the #VC that comes first.
        context.vcpu.vmcb.control.event_inj = 0;
        let mut seen = Seen {
            view: context.view,
            rmp: &self.rmp,
            memory,
        };
        match deliver::deliver(&mut context.vcpu, &mut seen, vector::VC, code) {
            Ok(()) => Step::Continue,
            Err(deliver::Undeliverable) => Step::End(enter::shutdown(vmm)),
        }
    }

    /// A physical interrupt: VMPL 0 must run where the guest has an interrupt to get.
    fn interrupted(&mut self, vmm: &mut Vmm, memory: &mut Memory) -> Step {
        if self.vp.current != 0 && vmm.waits() {
            self.switch(vmm, memory, 0);
        }
        Step::Continue
    }

    fn msr(&mut self, vmm: &mut Vmm, memory: &mut Memory, info: [u64; 2]) -> Step {
        let now = vmm.now();
        let Some(context) = &mut self.vp.contexts[self.vp.current] else {
            return Step::Continue;
        };
        let (msr, write) = (context.vcpu.regs[reg::RCX] as u32, info[0] & 1 == 1);
        let value = match msr {
            ghcb_msr::MSR_GHCB if write => {
                context.ghcb_msr = context.vcpu.edx_eax();
                None
            }
            ghcb_msr::MSR_GHCB => Some(context.ghcb_msr),
            status::MSR_SEV_STATUS if !write => {
                Some(status::SEV | status::SEV_ES | context.features << 2)
            }
            MSR_TSC if !write => Some(now),
            _ => return self.vc(vmm, memory, vc::MSR, [info[0] & 1, 0]),
        };
        if let Some(value) = value {
            context.vcpu.set_edx_eax(value);
        }
        context.vcpu.skip(2);
        Step::Continue
    }

    fn undefined(&mut self, vmm: &mut Vmm, memory: &mut Memory) -> Step {
        let found = self.instruction(memory);
        match found.kind {
            Kind::Pvalidate | Kind::Rmpadjust | Kind::Rmpquery => {
                return self.page_instruction(vmm, memory, found.kind, found.length);
            }
            Kind::Tdcall | Kind::Seamcall => vmm.offence = Some(&breach::FOREIGN_INSTRUCTION),
            _ => {}
        }
        self.inject(vector::UD, None);
        Step::Continue
    }

    fn nested_fault(&mut self, vmm: &mut Vmm, memory: &mut Memory, info: [u64; 2]) -> Step {
        let wants = Wants {
            write: info[0] & exit::NPF_WRITE != 0 && info[0] & exit::NPF_WALK == 0,
            fetch: info[0] & exit::NPF_FETCH != 0 && info[0] & exit::NPF_WALK == 0,
        };
        let Some(context) = &mut self.vp.contexts[self.vp.current] else {
            return Step::Continue;
        };
        let (gpa, _) = context.view.split(info[1]);
        let reflects = context.features & features::REFLECT_VC != 0;
        let walk = info[0] & exit::NPF_WALK != 0;
        let meant = if walk {
            context.view.table(info[1])
        } else {
            info[1]
        };
        match context.view.resolve(&self.rmp, memory, meant, wants) {
            Outcome::Map(frame, access) => {
                match context.view.block(&self.rmp, memory, info[1]) {
                    // Below VMPL 0 each page is looked at, for the keys; and the hunt takes a page away, with which
                    // the guest's tables would go.
                    Some(first) if self.vp.current == 0 && !vmm.hunts(&context.vcpu) => {
                        context
                            .npt
                            .map_large(info[1], memory.block_address(first), access);
                    }
                    _ => context.npt.map(info[1], memory.address(frame), access),
                }
                let held = context.hold_event(memory);
                if self.vp.current != 0 && self.shows_keys(memory, frame) {
                    return Step::End(End::Breach(&breach::VMPCK_EXPOSED));
                }
                if held {
                    self.switch(vmm, memory, 0);
                }
                Step::Continue
            }
            Outcome::NotValidated => self.vc(vmm, memory, vc::PAGE_NOT_VALIDATED, [info[0], gpa]),
            // The vmm sets a reserved bit where no memory is, so that the fault is a #VC; below a
            // paravisor in the private half too, where its devices stand.
            Outcome::Host(Fault::Unmapped { private })
                if !is_memory(memory, gpa) && (!private || reflects) =>
            {
                let shown = if reflects { info[1] } else { gpa };
                self.vc(vmm, memory, vc::NPF, [info[0] & 0xFFFF_FFFF, shown])
            }
            Outcome::Host(fault) => self.host_fault(vmm, memory, gpa, fault),
        }
    }

    /// A nested fault that the host sees: it repairs what it can, else names what happened.
    pub(super) fn host_fault(
        &mut self,
        vmm: &mut Vmm,
        memory: &mut Memory,
        gpa: u64,
        fault: Fault,
    ) -> Step {
        let end = match fault {
            Fault::Size => {
                if let Some(frame) = memory.frame(gpa / PAGE as u64) {
                    self.rmp.smash(frame);
                }
                return Step::Continue;
            }
            Fault::Unmapped { .. } if is_memory(memory, gpa) => {
                vmm.tells(lies::PAGE_WITHHELD);
                End::Denied(lies::PAGE_WITHHELD)
            }
            Fault::Unmapped { .. } => End::Breach(&breach::OUT_OF_RANGE),
            // A page that came validated has no permissions for VMPL 2, which cannot see why.
            Fault::NotAssigned | Fault::Assigned | Fault::Permission if vmm.took_pages() => {
                End::Denied(vmm.scenario.lie)
            }
            Fault::NotAssigned => End::Breach(&breach::SHARED_AS_PRIVATE),
            Fault::Assigned => End::Breach(&breach::C_BIT_MISSING),
            Fault::Permission => End::Breach(permission_breach(gpa)),
        };
        Step::End(end)
    }
}

/// Reading the secrets page is worse than touching any other page of the paravisor.
fn permission_breach(gpa: u64) -> &'static breach::Breach {
    match gpa & !0xFFF {
        tessera_handoff::layout::SECRETS_PAGE => &breach::VMPCK_EXPOSED,
        _ => &breach::VMPL_PERMISSION,
    }
}

fn is_memory(memory: &Memory, gpa: u64) -> bool {
    gpa < memory.size() && is_ram(gpa / PAGE as u64)
}
