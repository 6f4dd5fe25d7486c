//! The GHCB page: what the vmm reads, does and answers. Source: 56421 rev. 2.04, chapter 4.

mod doorbell;
mod instructions;
mod io;
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
        ghcb::{self, GhcbPage, answer, ap_creation, exit, malformed},
        ghcb_msr::hv_features,
        vc,
        vc::event,
    },
};
use zerocopy::{FromBytes, IntoBytes};

/// Why a request has no result.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Stop {
    /// The run ends.
    End(End),
    /// SW_EXITINFO2 of a malformed request; who should know better is blamed.
    Malformed(u64),
    /// The same, without blame: what a guest may try.
    Refused(u64),
}

impl From<End> for Stop {
    fn from(end: End) -> Self {
        Self::End(end)
    }
}

/// What a served request comes to: SW_EXITINFO1, SW_EXITINFO2, and the VMPL to run next.
type Served = Result<(u64, u64, Option<usize>), Stop>;

const DONE: Served = Ok((answer::OK, 0, None));
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
const XCR0: usize = offset_of!(GhcbPage, xcr0);
/// Its quadword has the valid bit.
const CPL: usize = offset_of!(GhcbPage, cpl) & !7;
/// Among the reserved ones of `GhcbPage`: only hypercalls use it.
const R8: usize = 0x340;
const SCRATCH: usize = offset_of!(GhcbPage, sw_scratch);

fn set_valid(page: &mut GhcbPage, offset: usize) {
    page.valid_bitmap[offset / 512] |= 1 << (offset / 8 % 64);
}

fn need(page: &GhcbPage, offsets: &[usize]) -> Result<(), Stop> {
    let valid = |at: &usize| page.valid_bitmap[at / 512] >> (at / 8 % 64) & 1 == 1;
    match offsets.iter().all(valid) {
        true => Ok(()),
        false => Err(Stop::Malformed(malformed::MISSING_INPUT)),
    }
}

/// What an honest host answers to a request that ends the run of a guest which is blamed.
fn answered(end: End) -> bool {
    let breach = match end {
        End::Breach(breach) => breach.name,
        _ => return false,
    };
    [
        &breach::GUEST_REQUEST_MALFORMED,
        &breach::GUEST_REQUEST_PRIVATE,
        &breach::VMSA_INVALID,
        &breach::VMSA_IN_USE,
        &breach::SEV_FEATURES_DIFFER,
        &breach::PROCESSOR_RUNS,
        &breach::RUN_VMPL_DENIED,
    ]
    .iter()
    .any(|known| known.name == breach)
}

impl Snp {
    /// Serves the GHCB page at `gpa`, which must be registered and shared.
    pub(super) fn ghcb_page(&mut self, vmm: &mut Vmm, memory: &mut Memory, gpa: u64) -> Step {
        let Some(frame) = self.host_access(memory, gpa, Access::Write) else {
            return Step::End(msr_protocol::not_shared(vmm));
        };
        let current = self.vp.current;
        let context = self.vp.contexts[current].as_ref();
        let registered = context.and_then(|context| context.registered) == Some(gpa);
        if !registered && !vmm.scenario.probing {
            return Step::End(End::Breach(&breach::GHCB_NOT_REGISTERED));
        }
        let read = memory
            .page(frame)
            .and_then(|bytes| GhcbPage::read_from_bytes(bytes).ok());
        let Some(mut page) = read else {
            return Step::End(INCOMPLETE);
        };
        let hyperv = vmm.scenario.profile == HostProfile::HyperV;
        let served = match page.ghcb_usage {
            _ if !registered => Err(Stop::Malformed(malformed::NOT_REGISTERED)),
            ghcb::USAGE_HYPERCALL if hyperv => self.hypercall_page(vmm, memory, &mut page),
            ghcb::USAGE_STANDARD => self.standard(vmm, memory, gpa, &mut page),
            _ => Err(Stop::Malformed(malformed::USAGE)),
        };
        let next = match served {
            Ok(next) => next,
            Err(Stop::End(end)) if self.blames(vmm) || !answered(end) => return Step::End(end),
            Err(Stop::Malformed(_)) if self.blames(vmm) => return Step::End(INCOMPLETE),
            Err(Stop::End(_)) => malformed_answer(vmm, &mut page, malformed::INPUT),
            Err(Stop::Malformed(reason) | Stop::Refused(reason)) => {
                malformed_answer(vmm, &mut page, reason)
            }
        };
        if let Some(bytes) = memory.page(frame) {
            bytes.copy_from_slice(page.as_bytes());
        }
        self.run_next(vmm, memory, next)
    }

    /// Our own kernel and paravisor are blamed for a wrong request; a lower guest of any kind, and one
    /// that probes, gets the answer of the standard.
    pub(super) fn blames(&self, vmm: &Vmm) -> bool {
        self.vp.current == 0 && !vmm.scenario.probing
    }

    fn standard(
        &mut self,
        vmm: &mut Vmm,
        memory: &mut Memory,
        gpa: u64,
        page: &mut GhcbPage,
    ) -> Result<Option<usize>, Stop> {
        let always = [offset_of!(GhcbPage, sw_exit_code), INFO1, INFO2];
        need(page, &always)?;
        if !msr_protocol::VERSIONS.contains(&page.protocol_version) {
            return Err(Stop::Malformed(malformed::INPUT));
        }
        let mut request = *page;
        // A guest with vTOM names its page in the shared half.
        request.sw_scratch &= !vmm.boundary();
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
            vc::CPUID => instructions::cpuid(vmm, request, page),
            vc::MSR => instructions::msr(vmm, request, page),
            vc::IOIO => io::port(vmm, gpa, request, page),
            vc::DR7_READ | vc::DR7_WRITE => self.debug_control(request, page),
            vc::RDTSC | vc::RDTSCP => {
                let context = self.vp.contexts[self.vp.current].as_ref();
                let auxiliary = context.map_or(0, |context| context.vcpu.unswitched[1]);
                instructions::time_stamp(vmm, auxiliary, request, page)
            }
            vc::RDPMC => instructions::counter(request),
            vc::MONITOR | vc::MWAIT => instructions::monitor(request),
            vc::WBINVD | vc::INVD => DONE,
            exit::NMI_COMPLETE => {
                if let Some(context) = &mut self.vp.contexts[self.vp.current] {
                    context.vcpu.complete_nmi();
                }
                DONE
            }
            exit::AP_RESET_HOLD => {
                vmm.vp().activity = Activity::ResetHold;
                // Read after the startup IPI: not zero says that one came.
                Ok((answer::OK, 1, None))
            }
            vc::VMMCALL => self.vmmcall(vmm, memory, request, page),
            exit::MMIO_READ | exit::MMIO_WRITE => io::mmio(vmm, gpa, request, page),
            exit::PSC => self.page_states(vmm, memory, gpa, request, page),
            exit::HV_DOORBELL => self.doorbell(memory, request),
            exit::HV_IPI => self.send_ipi(vmm, request),
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
            exit::TERMINATE => Err(Stop::End(End::Terminated {
                set: (request.sw_exit_info1 & 0xF) as u8,
                code: request.sw_exit_info1 >> 4 & 0xFF,
            })),
            // The guest could not serve a #VC, whose code is in SW_EXITINFO1: KVM ends it.
            exit::UNSUPPORTED => Err(Stop::End(End::Breach(&breach::UNHANDLED_EXCEPTION))),
            code => {
                let info = [request.sw_exit_info1, request.sw_exit_info2];
                let fields = [code, info[0], info[1], request.rax];
                vmm.unsupported(Request::Ghcb(code), fields);
                Err(Stop::Refused(malformed::EVENT))
            }
        }
    }

    /// Creates or destroys a context, in a VMPL that is not more privileged than the caller's.
    fn ap_creation(&mut self, vmm: &mut Vmm, memory: &mut Memory, request: &GhcbPage) -> Served {
        vmm.note("ap-creation");
        let (info, gpa) = (request.sw_exit_info1, request.sw_exit_info2);
        let (vp, vmpl) = ((info >> 32) as usize, (info >> 16 & 0xF) as usize);
        if vp >= vmm.vps.len() {
            vmm.offence = Some(&breach::PROCESSOR_UNKNOWN);
            return Err(Stop::Refused(malformed::INPUT));
        }
        let several = msr_protocol::features(vmm) & hv_features::MULTI_VMPL != 0;
        let allowed = vmpl >= self.vp.current && (vmpl == 0 || several && vmpl <= 3);
        if !allowed || info >> 20 & 0xFFF != 0 {
            return Err(Stop::Refused(malformed::INPUT));
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
            _ => return Err(Stop::Refused(malformed::INPUT)),
        }
        DONE
    }

    fn hypercall_page(
        &mut self,
        vmm: &mut Vmm,
        memory: &mut Memory,
        page: &mut GhcbPage,
    ) -> Result<Option<usize>, Stop> {
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
        need(request, &[RAX, CPL])?;
        if vmm.scenario.profile != HostProfile::HyperV {
            vmm.missed(Request::Ghcb(vc::VMMCALL));
            page.rax = KVM_ENOSYS;
        } else {
            need(request, &[RCX, RDX])?;
            let (control, gpa) = (request.rcx, request.rdx);
            let frame = self.host_access(memory, gpa, Access::Read);
            let page_of = frame.and_then(|frame| memory.page(frame));
            let mut output = [0; 8];
            output.copy_from_slice(&request.as_bytes()[R8..R8 + 8]);
            let fast = [gpa.to_le_bytes(), output];
            let input = match control & hyperv::HYPERCALL_FAST {
                0 => page_of.map_or(&[][..], |page| &page[gpa as usize % PAGE..]),
                _ => fast.as_flattened(),
            };
            let call = vmm.hypercall(control, input);
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

/// Writes SW_EXITINFO1 and 2 of a malformed request, which is counted as not modelled.
fn malformed_answer(vmm: &mut Vmm, page: &mut GhcbPage, reason: u64) -> Option<usize> {
    vmm.missed(Request::Ghcb(page.sw_exit_code));
    page.valid_bitmap = [0; 2];
    (page.sw_exit_info1, page.sw_exit_info2) = (answer::MALFORMED, reason);
    [INFO1, INFO2]
        .into_iter()
        .for_each(|at| set_valid(page, at));
    None
}
