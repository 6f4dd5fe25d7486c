//! Instructions that a guest's #VC handler passes on. Source: 56421 rev. 2.04, table 6.

use super::{DONE, RAISE_GP, RAX, RBX, RCX, RDX, Served, Snp, Stop, XCR0, need, set_valid};
use crate::vmm::Vmm;
use tessera_defs::snp::{
    ghcb::{GhcbPage, answer, malformed},
    vc::{self, event},
};

/// CPUID leaf of the extended state, whose answer depends on XCR0.
const EXTENDED_STATE: u32 = 0xD;
/// SW_EXITINFO1 and 2 that ask the guest to raise #GP(0).
const GENERAL_PROTECTION: Served = Ok((answer::INJECT, RAISE_GP | event::ERROR_VALID, None));

/// CPUID.
pub fn cpuid(vmm: &Vmm, request: &GhcbPage, page: &mut GhcbPage) -> Served {
    need(request, &[RAX, RCX])?;
    let (leaf, sub) = (request.rax as u32, request.rcx as u32);
    if leaf == EXTENDED_STATE {
        need(request, &[XCR0])?;
    }
    let values = vmm
        .cpuid(leaf, (vmm.machine.cpuid)(leaf, sub))
        .map(u64::from);
    [page.rax, page.rbx, page.rcx, page.rdx] = values;
    [RAX, RBX, RCX, RDX]
        .into_iter()
        .for_each(|at| set_valid(page, at));
    DONE
}

/// RDMSR and WRMSR.
pub fn msr(vmm: &mut Vmm, request: &GhcbPage, page: &mut GhcbPage) -> Served {
    need(request, &[RCX])?;
    let msr = request.rcx as u32;
    let done = match request.sw_exit_info1 {
        0 => vmm.read_msr(msr).map(|value| wide(page, value)),
        1 => {
            need(request, &[RAX, RDX])?;
            vmm.write_msr(msr, request.rdx << 32 | request.rax & 0xFFFF_FFFF)
        }
        _ => return Err(Stop::Malformed(malformed::INPUT)),
    };
    match done {
        Some(()) => DONE,
        None => GENERAL_PROTECTION,
    }
}

/// A value in EDX:EAX.
fn wide(page: &mut GhcbPage, value: u64) {
    (page.rax, page.rdx) = (value & 0xFFFF_FFFF, value >> 32);
    [RAX, RDX].into_iter().for_each(|at| set_valid(page, at));
}

/// RDTSC, and RDTSCP with TSC_AUX.
pub fn time_stamp(
    vmm: &mut Vmm,
    auxiliary: u64,
    request: &GhcbPage,
    page: &mut GhcbPage,
) -> Served {
    wide(page, vmm.now());
    if request.sw_exit_code == vc::RDTSCP {
        page.rcx = auxiliary;
        set_valid(page, RCX);
    }
    DONE
}

/// RDPMC: there is no counter.
pub fn counter(request: &GhcbPage) -> Served {
    need(request, &[RCX])?;
    GENERAL_PROTECTION
}

/// MONITOR, with address, extensions and hints; MWAIT without the address. A host may end the wait
/// at once, and this one does.
pub fn monitor(request: &GhcbPage) -> Served {
    need(request, &[RAX, RCX])?;
    if request.sw_exit_code == vc::MONITOR {
        need(request, &[RDX])?;
    }
    DONE
}

impl Snp {
    /// DR7: the host keeps what the guest said last.
    pub(super) fn debug_control(&mut self, request: &GhcbPage, page: &mut GhcbPage) -> Served {
        let context = &mut self.vp.contexts[self.vp.current];
        let Some(kept) = context.as_mut().map(|context| &mut context.dr7) else {
            return DONE;
        };
        if request.sw_exit_code == vc::DR7_READ {
            page.rax = *kept;
            set_valid(page, RAX);
            return DONE;
        }
        need(request, &[RAX])?;
        if request.rax >> 32 != 0 {
            return GENERAL_PROTECTION;
        }
        *kept = request.rax;
        DONE
    }
}
