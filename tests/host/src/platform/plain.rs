//! A plain virtual machine: every exit is the vmm's.

use super::{Access, LaunchPage, PageKind, Step, Technology, enter, processors::Processors};
use crate::{
    memory::{
        frames::{Memory, PAGE},
        insn::{self, Kind},
        walk,
    },
    report::End,
    svm::{
        bitmaps::Bitmaps,
        exit,
        npt::{self, Npt},
        vcpu::{Vcpu, reg},
    },
    vmm::{Vmm, hypercall::Hypercall, lies, missing::Request, vp::Activity},
};
use alloc::{boxed::Box, string::String};
use tessera_defs::{
    breach, hyperv,
    mode::HostProfile,
    snp::vc,
    x86::{MSR_EFER, efer, vector},
};

mod context;
mod device;
mod start;

/// EFER: fast FXSAVE (APM vol. 2, 3.1.7).
const EFER_FFXSR: u64 = 1 << 14;

/// A plain machine.
#[derive(Debug)]
pub struct Plain {
    vcpu: Vcpu,
    others: Processors<Vcpu>,
    bitmaps: &'static Bitmaps,
    npt: Npt,
    /// A page of ones, for reads where nothing answers.
    ones: Option<u32>,
}

/// The guest's view of its memory.
struct View<'a>(&'a mut Memory);

impl walk::Physical for View<'_> {
    fn read_u64(&mut self, gpa: u64) -> Option<u64> {
        let frame = self.0.frame(gpa / PAGE as u64)?;
        self.0.read_u64(frame, gpa as usize % PAGE)
    }

    fn write_u64(&mut self, gpa: u64, value: u64) -> Option<()> {
        let frame = self.0.frame(gpa / PAGE as u64)?;
        let offset = gpa as usize % PAGE;
        self.0
            .page(frame)?
            .get_mut(offset..offset + 8)?
            .copy_from_slice(&value.to_le_bytes());
        Some(())
    }
}

impl Plain {
    /// A machine that is not loaded yet.
    pub fn new(memory: &Memory) -> Self {
        let npt = Npt::of(memory.size(), 32);
        let mut bitmaps = Bitmaps::new();
        bitmaps.set_msr(MSR_EFER, true);
        let bitmaps: &'static Bitmaps = Box::leak(bitmaps);
        Self {
            vcpu: Vcpu::new(bitmaps, npt.root()),
            others: Processors::default(),
            bitmaps,
            npt,
            ones: None,
        }
    }

    fn code(&self, memory: &mut Memory) -> [u8; 15] {
        let mut bytes = [0; 15];
        let save = &self.vcpu.vmcb.save;
        // What cannot be read stays zero, which is no instruction that is looked for.
        walk::read(save, &mut View(memory), self.vcpu.linear_rip(), &mut bytes);
        bytes
    }

    fn instruction(&self, memory: &mut Memory) -> insn::Instruction {
        insn::decode(&self.code(memory))
    }

    fn general_protection(&mut self) {
        self.vcpu.inject_exception(vector::GP, Some(0));
    }

    fn nested_fault(&mut self, vmm: &mut Vmm, memory: &mut Memory) -> Step {
        let gpa = self.vcpu.vmcb.control.exit_info_2;
        let gfn = gpa / PAGE as u64;
        if let Some(first) = memory.block(gfn) {
            self.npt
                .map_large(gpa, memory.block_address(first), npt::ALL);
            return Step::Continue;
        }
        match memory.frame(gfn) {
            Some(frame) => {
                self.npt.map(gpa, memory.address(frame), npt::ALL);
                Step::Continue
            }
            None if gpa < memory.size() && crate::memory::frames::is_ram(gpa / PAGE as u64) => {
                vmm.tells(lies::PAGE_WITHHELD);
                Step::End(End::Denied(lies::PAGE_WITHHELD))
            }
            None => self.outside(vmm, memory, gpa),
        }
    }

    fn msr(&mut self, vmm: &mut Vmm, length: u64) {
        let msr = self.vcpu.regs[reg::RCX] as u32;
        if msr == MSR_EFER {
            return self.efer(length);
        }
        let done = if self.vcpu.vmcb.control.exit_info_1 == 0 {
            vmm.read_msr(msr).map(|value| self.vcpu.set_edx_eax(value))
        } else {
            vmm.write_msr(msr, self.vcpu.edx_eax())
        };
        self.hypercall_page(vmm, msr);
        match done {
            Some(()) => self.vcpu.skip(length),
            None => self.general_protection(),
        }
    }

    /// EFER without SVME, which SVM demands of every guest and this one does not have. LMA is the
    /// processor's.
    fn efer(&mut self, length: u64) {
        let now = self.vcpu.vmcb.save.efer;
        let value = self.vcpu.edx_eax();
        match self.vcpu.vmcb.control.exit_info_1 {
            0 => self.vcpu.set_edx_eax(now & !efer::SVME),
            _ if value & !(efer::SCE | efer::LME | efer::LMA | efer::NXE | EFER_FFXSR) != 0 => {
                return self.general_protection();
            }
            _ => self.vcpu.vmcb.save.efer = value & !efer::LMA | now & efer::LMA | efer::SVME,
        }
        self.vcpu.skip(length);
    }

    /// The page that an enabled HYPERCALL names holds the way into the hypervisor (TLFS 3.13):
    /// VMMCALL, RET. On hardware it overlays the guest's own page; here it is written into it.
    fn hypercall_page(&self, vmm: &mut Vmm, msr: u32) {
        let value = vmm.hyperv().hypercall;
        if msr == hyperv::MSR_HYPERCALL && value & 1 == 1 {
            let code = [0x0F, 0x01, 0xD9, 0xC3];
            vmm.writes.push((value & !0xFFF, code.to_vec()));
        }
    }

    fn port(&mut self, vmm: &mut Vmm) {
        let info = self.vcpu.vmcb.control.exit_info_1;
        let (port, size) = ((info >> vc::io::PORT_SHIFT) as u16, (info >> 4 & 7) as u8);
        if info & (vc::io::STRING | vc::io::REP) != 0 {
            vmm.missed(Request::StringIo(port));
            return self.general_protection();
        }
        let rax = self.vcpu.regs[reg::RAX];
        let mask = u64::MAX >> (64 - 8 * u32::from(size.clamp(1, 4)));
        if info & vc::io::IN != 0 {
            let value = u64::from(vmm.port_in(port, size)) & mask;
            let kept = if size == 4 { 0 } else { rax & !mask };
            self.vcpu.regs[reg::RAX] = kept | value;
        } else {
            vmm.port_out(port, size, (rax & mask) as u32);
        }
        self.vcpu.vmcb.save.rip = self.vcpu.vmcb.control.exit_info_2;
        self.vcpu.vmcb.control.interrupt_shadow = 0;
    }

    fn halt(&mut self, vmm: &mut Vmm) -> Step {
        self.vcpu.skip(1);
        vmm.halt(self.vcpu.vmcb.save.rflags & 1 << 9 != 0);
        Step::Continue
    }

    /// TLFS 3.7: RCX control, RDX input, R8 output; result in RAX. There is nothing to share.
    fn hypercall(&mut self, vmm: &mut Vmm, memory: &mut Memory, length: u64) {
        if vmm.scenario.profile != HostProfile::HyperV {
            return self.vcpu.inject_exception(vector::UD, None);
        }
        let control = self.vcpu.regs[reg::RCX];
        let fast = [reg::RDX, reg::R8].map(|at| self.vcpu.regs[at].to_le_bytes());
        let gpa = self.vcpu.regs[reg::RDX];
        let frame = memory.frame(gpa / PAGE as u64);
        let page = frame.and_then(|frame| memory.page(frame));
        let input = match control & hyperv::HYPERCALL_FAST {
            0 => page.map_or(&[][..], |page| &page[gpa as usize % PAGE..]),
            _ => fast.as_flattened(),
        };
        let result = match vmm.hypercall(control, input) {
            Hypercall::Done(result) => result,
            Hypercall::Output(result, bytes) => {
                vmm.writes.push((self.vcpu.regs[reg::R8], bytes));
                result
            }
            Hypercall::Start(start) => self.start_vp(vmm, &start).into(),
            Hypercall::Visibility { .. } | Hypercall::Registers(_) => {
                u64::from(hyperv::HV_STATUS_ACCESS_DENIED)
            }
        };
        self.vcpu.regs[reg::RAX] = result;
        self.vcpu.skip(length);
    }
}

impl Technology for Plain {
    fn policy(&mut self, _policy: u64) {}

    fn add_page(&mut self, memory: &mut Memory, page: &LaunchPage<'_>) -> Result<(), String> {
        if page.kind == PageKind::Context {
            return context::load(&mut self.vcpu, page.content);
        }
        let frame = match memory.frame(page.gpa / PAGE as u64) {
            Some(frame) => frame,
            None => memory.spare().ok_or("no frame is left for the image")?,
        };
        memory.map(page.gpa / PAGE as u64, Some(frame));
        let bytes = memory.page(frame).ok_or("a frame outside the pool")?;
        bytes.fill(0);
        bytes[..page.content.len()].copy_from_slice(page.content);
        Ok(())
    }

    fn finish(&mut self, vmm: &mut Vmm, memory: &mut Memory) -> Result<Option<String>, String> {
        if vmm.scenario.lies(lies::PAGE_WITHHELD) {
            let image_end = tessera_handoff::layout::IMAGE_END / PAGE as u64;
            memory.withhold(image_end);
        }
        for _ in 1..vmm.scenario.smp {
            self.others.add(Vcpu::new(self.bitmaps, self.npt.root()));
        }
        Ok(None)
    }

    fn step(&mut self, vmm: &mut Vmm, memory: &mut Memory) -> Step {
        if let Step::End(end) = self.take_turn(vmm) {
            return Step::End(end);
        }
        if vmm.vp().activity != Activity::Runs {
            return Step::Continue;
        }
        enter::inject(vmm, &mut self.vcpu);
        if let Err(end) = enter::enter(vmm, &mut self.vcpu, &mut View(memory), true) {
            return Step::End(end);
        }
        let code = self.vcpu.vmcb.control.exit_code;
        match code {
            exit::NPF => return self.nested_fault(vmm, memory),
            exit::INTR | exit::NMI | exit::VINTR => return Step::Continue,
            vc::SHUTDOWN => return Step::End(enter::shutdown(vmm)),
            vc::IOIO => self.port(vmm),
            vc::HLT => return self.halt(vmm),
            exit::INVALID | exit::INVALID_LOW => return Step::End(enter::shutdown(vmm)),
            _ => self.decoded(vmm, memory, code),
        }
        Step::Continue
    }

    fn host_access(&self, memory: &Memory, gpa: u64, _access: Access) -> Option<u32> {
        memory.frame(gpa / PAGE as u64)
    }

    fn rip(&self) -> u64 {
        self.vcpu.vmcb.save.rip
    }

    fn pages(&self) -> (u64, u64) {
        (0, 0)
    }
}

impl Plain {
    /// Exits of which the length must be found first.
    fn decoded(&mut self, vmm: &mut Vmm, memory: &mut Memory, code: u64) {
        let found = self.instruction(memory);
        match (code, found.kind) {
            (vc::CPUID, _) => {
                let (leaf, sub) = (
                    self.vcpu.regs[reg::RAX] as u32,
                    self.vcpu.regs[reg::RCX] as u32,
                );
                let machine = (vmm.machine.cpuid)(leaf, sub);
                let answer = vmm.cpuid(leaf, machine);
                for (at, value) in [reg::RAX, reg::RBX, reg::RCX, reg::RDX]
                    .into_iter()
                    .zip(answer)
                {
                    self.vcpu.regs[at] = u64::from(value);
                }
                self.vcpu.skip(found.length);
            }
            (vc::MSR, _) => self.msr(vmm, found.length),
            (vc::WBINVD | vc::INVD, _) => self.vcpu.skip(found.length),
            (vc::VMMCALL, Kind::Vmmcall) => self.hypercall(vmm, memory, found.length),
            (exit::EXCEPTION_UD | vc::VMMCALL, kind) => {
                if matches!(
                    kind,
                    Kind::Vmgexit
                        | Kind::Tdcall
                        | Kind::Pvalidate
                        | Kind::Rmpadjust
                        | Kind::Rmpquery
                ) {
                    vmm.offence = Some(&breach::FOREIGN_INSTRUCTION);
                }
                self.vcpu.inject_exception(vector::UD, None);
            }
            _ => self.vcpu.inject_exception(vector::UD, None),
        }
    }
}
