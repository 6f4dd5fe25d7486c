//! The GHCB page: what the vmm reads, does and answers. Source: 56421 rev. 2.04, chapter 4.

mod psc;
mod registers;

use super::{Snp, msr_protocol, processor::Creation};
use crate::{
    memory::frames::{Memory, PAGE},
    platform::{Access, Step, Technology},
    report::End,
    vmm::{
        Vmm,
        hypercall::{Hypercall, repeated},
        lies,
        missing::Request,
        vp::Activity,
    },
};
use core::mem::offset_of;
use tessera_defs::{
    breach, hyperv,
    mode::HostProfile,
    snp::{
        ghcb::{self, GhcbPage, answer, ap_creation, exit},
        ghcb_msr::hv_features,
        vc,
        vc::event,
    },
};
use zerocopy::{FromBytes, IntoBytes};

/// What a served request comes to: SW_EXITINFO1, SW_EXITINFO2, and the VMPL to run next.
type Served = Result<(u64, u64, Option<usize>), End>;

const DONE: Served = Ok((answer::OK, 0, None));
const MALFORMED: Served = Ok((answer::MALFORMED, 6, None));
/// SW_EXITINFO2 that asks the guest to raise #GP(0).
const RAISE_GP: u64 = event::VALID | event::TYPE_EXCEPTION << event::TYPE_SHIFT | 13;
/// KVM's answer to a hypercall that it does not have (Linux `include/uapi/linux/kvm_para.h`).
const KVM_ENOSYS: u64 = -1000i64 as u64;
const INCOMPLETE: End = End::Breach(&breach::GHCB_MALFORMED);

const RAX: usize = offset_of!(GhcbPage, rax);
const RBX: usize = offset_of!(GhcbPage, rbx);
const RCX: usize = offset_of!(GhcbPage, rcx);
const RDX: usize = offset_of!(GhcbPage, rdx);
const INFO1: usize = offset_of!(GhcbPage, sw_exit_info1);
const INFO2: usize = offset_of!(GhcbPage, sw_exit_info2);
/// SW_EXITINFO2 of a malformed request: missing or invalid input.
const MISSING_INPUT: u64 = 4;
/// Among the reserved ones of `GhcbPage`: only hypercalls use it.
const R8: usize = 0x340;
const SCRATCH: usize = offset_of!(GhcbPage, sw_scratch);

fn set_valid(page: &mut GhcbPage, offset: usize) {
    page.valid_bitmap[offset / 512] |= 1 << (offset / 8 % 64);
}

fn need(page: &GhcbPage, offsets: &[usize]) -> Result<(), End> {
    let valid = |at: &usize| page.valid_bitmap[at / 512] >> (at / 8 % 64) & 1 == 1;
    if offsets.iter().all(valid) {
        Ok(())
    } else {
        Err(INCOMPLETE)
    }
}

impl Snp {
    /// Serves the GHCB page at `gpa`, which must be registered and shared.
    pub(super) fn ghcb_page(&mut self, vmm: &mut Vmm, memory: &mut Memory, gpa: u64) -> Step {
        let Some(frame) = self.host_access(memory, gpa, Access::Write) else {
            return Step::End(msr_protocol::not_shared(vmm));
        };
        let current = self.vp.current;
        let context = self.vp.contexts[current].as_ref();
        if context.and_then(|context| context.registered) != Some(gpa) {
            return Step::End(End::Breach(&breach::GHCB_NOT_REGISTERED));
        }
        let read = memory
            .page(frame)
            .and_then(|bytes| GhcbPage::read_from_bytes(bytes).ok());
        let Some(mut page) = read else {
            return Step::End(INCOMPLETE);
        };
        let served = match page.ghcb_usage {
            ghcb::USAGE_HYPERCALL => self.hypercall_page(vmm, memory, &mut page),
            ghcb::USAGE_STANDARD => self.standard(vmm, memory, gpa, &mut page),
            _ => Err(INCOMPLETE),
        };
        let next = match served {
            Ok(next) => next,
            // Our own kernel and paravisor are blamed; a lower guest of any kind gets the answer of
            // the standard (56421, table 7: missing or invalid input).
            Err(INCOMPLETE) if current != 0 => {
                vmm.missed(Request::Ghcb(page.sw_exit_code));
                page.valid_bitmap = [0; 2];
                (page.sw_exit_info1, page.sw_exit_info2) = (answer::MALFORMED, MISSING_INPUT);
                [INFO1, INFO2]
                    .into_iter()
                    .for_each(|at| set_valid(&mut page, at));
                None
            }
            Err(end) => return Step::End(end),
        };
        if let Some(bytes) = memory.page(frame) {
            bytes.copy_from_slice(page.as_bytes());
        }
        self.run_next(vmm, memory, next)
    }

    fn standard(
        &mut self,
        vmm: &mut Vmm,
        memory: &mut Memory,
        gpa: u64,
        page: &mut GhcbPage,
    ) -> Result<Option<usize>, End> {
        let always = [offset_of!(GhcbPage, sw_exit_code), INFO1, INFO2];
        need(page, &always)?;
        if !msr_protocol::VERSIONS.contains(&page.protocol_version) {
            return Err(INCOMPLETE);
        }
        let request = *page;
        page.valid_bitmap = [0; 2];
        let (info1, info2, next) = self.event(vmm, memory, gpa, &request, page)?;
        let lied = vmm.tells(lies::GHCB_OUT_OF_RANGE);
        page.sw_exit_info1 = if lied { 7 } else { info1 };
        page.sw_exit_info2 = info2;
        always[1..].iter().for_each(|at| set_valid(page, *at));
        Ok(next)
    }

    fn event(
        &mut self,
        vmm: &mut Vmm,
        memory: &mut Memory,
        gpa: u64,
        request: &GhcbPage,
        page: &mut GhcbPage,
    ) -> Served {
        match request.sw_exit_code {
            vc::CPUID => cpuid(vmm, request, page),
            vc::MSR => msr(vmm, request, page),
            vc::IOIO => port(vmm, request, page),
            vc::WBINVD | vc::INVD | exit::NMI_COMPLETE => DONE,
            vc::HLT => {
                vmm.halt(true);
                DONE
            }
            exit::AP_RESET_HOLD => {
                vmm.vp().activity = Activity::ResetHold;
                // Read after the startup IPI: not zero says that one came.
                Ok((answer::OK, 1, None))
            }
            vc::VMMCALL => self.vmmcall(vmm, memory, request, page),
            exit::MMIO_READ | exit::MMIO_WRITE => mmio(vmm, gpa, request, page),
            exit::PSC => {
                scratch(gpa, request)?;
                self.page_states(vmm, memory, page)
            }
            exit::GUEST_REQUEST => {
                let pages = [request.sw_exit_info1, request.sw_exit_info2];
                let (info1, info2) = self.guest_request(vmm, memory, pages)?;
                Ok((info1, info2, None))
            }
            exit::EXTENDED_GUEST_REQUEST => {
                need(request, &[RAX, RBX])?;
                let pages = [request.sw_exit_info1, request.sw_exit_info2];
                let place = [request.rax, request.rbx];
                let (info1, info2, count) = self.extended_request(vmm, memory, pages, place)?;
                if let Some(count) = count {
                    page.rbx = count;
                    set_valid(page, RBX);
                }
                Ok((info1, info2, None))
            }
            exit::AP_CREATION => self.ap_creation(vmm, memory, request),
            exit::RUN_VMPL => {
                let vmpl = self.may_run(vmm, request.sw_exit_info1)?;
                Ok((answer::OK, 0, Some(vmpl)))
            }
            exit::HV_FEATURES => Ok((answer::OK, msr_protocol::features(vmm), None)),
            exit::TERMINATE => Err(End::Terminated {
                set: (request.sw_exit_info1 & 0xF) as u8,
                code: request.sw_exit_info1 >> 4 & 0xFF,
            }),
            _ => MALFORMED,
        }
    }

    /// Creates or destroys a context, in a VMPL that is not more privileged than the caller's.
    fn ap_creation(&mut self, vmm: &mut Vmm, memory: &mut Memory, request: &GhcbPage) -> Served {
        vmm.note("ap-creation");
        let (info, gpa) = (request.sw_exit_info1, request.sw_exit_info2);
        let (vp, vmpl) = ((info >> 32) as usize, (info >> 16 & 0xF) as usize);
        if vp >= vmm.vps.len() {
            vmm.offence = Some(&breach::PROCESSOR_UNKNOWN);
            return MALFORMED;
        }
        let several = msr_protocol::features(vmm) & hv_features::MULTI_VMPL != 0;
        let allowed = vmpl >= self.vp.current && (vmpl == 0 || several && vmpl <= 3);
        if !allowed || info >> 20 & 0xFFF != 0 {
            return MALFORMED;
        }
        let wanted = Creation {
            vp,
            vmpl,
            gpa,
            features: Some(request.rax),
            on_init: info & 0xFFFF == ap_creation::ON_INIT,
        };
        match info & 0xFFFF {
            ap_creation::ON_INIT | ap_creation::CREATE => {
                need(request, &[RAX])?;
                self.create(vmm, memory, wanted)?;
            }
            ap_creation::DESTROY => self.destroy(vmm, vp, vmpl)?,
            _ => return MALFORMED,
        }
        DONE
    }

    fn hypercall_page(
        &mut self,
        vmm: &mut Vmm,
        memory: &mut Memory,
        page: &mut GhcbPage,
    ) -> Result<Option<usize>, End> {
        let bytes = page.as_mut_bytes();
        let mut control = [0; 8];
        let at = ghcb::HYPERCALL_CONTROL;
        control.copy_from_slice(&bytes[at..at + 8]);
        let call = vmm.hypercall(
            u64::from_le_bytes(control),
            &bytes[..ghcb::HYPERCALL_OUTPUT_GPA],
        );
        let mut output = [0; 8];
        output.copy_from_slice(&bytes[ghcb::HYPERCALL_OUTPUT_GPA..ghcb::HYPERCALL_CONTROL]);
        let result = self.hypercall(vmm, memory, call, u64::from_le_bytes(output))?;
        bytes[at..at + 8].copy_from_slice(&result.to_le_bytes());
        Ok(None)
    }

    /// VMMCALL that the guest's #VC handler passes on: Hyper-V's registers (TLFS 3.7); the input
    /// page must be one that the host can read.
    fn vmmcall(
        &mut self,
        vmm: &mut Vmm,
        memory: &mut Memory,
        request: &GhcbPage,
        page: &mut GhcbPage,
    ) -> Served {
        need(request, &[RAX])?;
        if vmm.scenario.profile != HostProfile::HyperV {
            vmm.missed(Request::Ghcb(vc::VMMCALL));
            page.rax = KVM_ENOSYS;
        } else {
            need(request, &[RCX, RDX])?;
            let (control, gpa) = (request.rcx, request.rdx);
            let frame = self.host_access(memory, gpa, Access::Read);
            let input = frame.and_then(|frame| memory.page(frame));
            let input = input.map(|page| &page[gpa as usize % PAGE..]);
            let call = vmm.hypercall(control, input.unwrap_or(&[]));
            let mut output = [0; 8];
            output.copy_from_slice(&request.as_bytes()[R8..R8 + 8]);
            page.rax = self.hypercall(vmm, memory, call, u64::from_le_bytes(output))?;
        }
        set_valid(page, RAX);
        DONE
    }

    /// The result of a decoded hypercall.
    fn hypercall(
        &mut self,
        vmm: &mut Vmm,
        memory: &mut Memory,
        call: Hypercall,
        output: u64,
    ) -> Result<u64, End> {
        Ok(match call {
            Hypercall::Done(result) => result,
            Hypercall::Output(result, bytes) => {
                vmm.writes.push((output, bytes));
                result
            }
            Hypercall::Start(start) => self.start_vp(vmm, memory, &start)?.into(),
            Hypercall::Registers(set) => self.set_registers(vmm, memory, &set),
            Hypercall::Visibility { frames, shared } => {
                vmm.note("visibility");
                let changed = frames
                    .iter()
                    .take_while(|gfn| self.change(vmm, memory, **gfn, false, shared));
                match changed.count() {
                    done if done == frames.len() => repeated(hyperv::HV_STATUS_SUCCESS, done),
                    done => repeated(hyperv::HV_STATUS_ACCESS_DENIED, done),
                }
            }
        })
    }
}

fn cpuid(vmm: &Vmm, request: &GhcbPage, page: &mut GhcbPage) -> Served {
    need(request, &[RAX, RCX])?;
    let (leaf, sub) = (request.rax as u32, request.rcx as u32);
    let values = vmm
        .cpuid(leaf, (vmm.machine.cpuid)(leaf, sub))
        .map(u64::from);
    [page.rax, page.rbx, page.rcx, page.rdx] = values;
    [RAX, RBX, RCX, RDX]
        .into_iter()
        .for_each(|at| set_valid(page, at));
    DONE
}

fn msr(vmm: &mut Vmm, request: &GhcbPage, page: &mut GhcbPage) -> Served {
    need(request, &[RCX])?;
    let msr = request.rcx as u32;
    let done = if request.sw_exit_info1 == 0 {
        vmm.read_msr(msr).map(|value| {
            (page.rax, page.rdx) = (value & 0xFFFF_FFFF, value >> 32);
            [RAX, RDX].into_iter().for_each(|at| set_valid(page, at));
        })
    } else {
        need(request, &[RAX, RDX])?;
        vmm.write_msr(msr, request.rdx << 32 | request.rax & 0xFFFF_FFFF)
    };
    match done {
        Some(()) => DONE,
        None => Ok((answer::INJECT, RAISE_GP | event::ERROR_VALID, None)),
    }
}

fn port(vmm: &mut Vmm, request: &GhcbPage, page: &mut GhcbPage) -> Served {
    let info = request.sw_exit_info1;
    let (port, size) = ((info >> vc::io::PORT_SHIFT) as u16, (info >> 4 & 7) as u8);
    if info & (vc::io::STRING | vc::io::REP) != 0 || !matches!(size, 1 | 2 | 4) {
        return MALFORMED;
    }
    if info & vc::io::IN != 0 {
        page.rax = vmm.port_in(port, size).into();
        set_valid(page, RAX);
        return DONE;
    }
    need(request, &[RAX])?;
    vmm.port_out(port, size, request.rax as u32);
    DONE
}

/// SW_SCRATCH must name the shared buffer of this GHCB; its offset in the buffer is 0 for us.
fn scratch(gpa: u64, request: &GhcbPage) -> Result<(), End> {
    need(request, &[SCRATCH])?;
    let expected = gpa + ghcb::SHARED_BUFFER_OFFSET as u64;
    if request.sw_scratch == expected {
        Ok(())
    } else {
        Err(INCOMPLETE)
    }
}

fn mmio(vmm: &mut Vmm, gpa: u64, request: &GhcbPage, page: &mut GhcbPage) -> Served {
    scratch(gpa, request)?;
    let (at, size) = (request.sw_exit_info1, request.sw_exit_info2 as usize);
    if !matches!(size, 1 | 2 | 4 | 8) {
        return MALFORMED;
    }
    let mut word = [0; 8];
    if request.sw_exit_code == exit::MMIO_READ {
        let value = vmm.mmio_read(at).unwrap_or(u64::MAX);
        page.shared_buffer[..size].copy_from_slice(&value.to_le_bytes()[..size]);
    } else {
        word[..size].copy_from_slice(&request.shared_buffer[..size]);
        // A write where no device is goes nowhere, as on a real bus.
        let _ = vmm.mmio_write(at, u64::from_le_bytes(word));
    }
    DONE
}
