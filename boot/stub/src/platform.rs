//! What each door's platform can be asked before anything is decided, and its way out.
#![allow(unsafe_code)] // isolation instructions, each on the door that proves the platform

use crate::entry::Door;
use crate::snp::{self, Shared};
use tessera_defs::refusal::Refusal;
use tessera_defs::snp::ghcb_msr::TERMINATE_SET_TESSERA;
use tessera_defs::snp::status::{C_BIT, VTOM_BIT};
use tessera_defs::tdx::page::SHARED_BIT;
use tessera_defs::tdx::{cpuid as tdx_cpuid, field, vmcall};
use tessera_defs::x86::vector;
use tessera_hw::host::{GhcbMsrPort, TdcallPort};
use tessera_hw::{instr, probe};
use tessera_isolation::evidence::{Entry, Evidence, TdxFacts};
use tessera_objects::tables::PageBits;
use tessera_protocol::error::{Error, HostFault};
use tessera_protocol::{ghcb, ghcb_msr, tdx};

/// A platform before the decision.
pub enum Platform {
    /// Plain machine (`None` evidence but the door).
    Plain(Entry),
    /// SNP, VMPL 0; what it shares with the host, once it does.
    Snp(Option<Shared>),
    /// L1 TD.
    Tdx,
    /// Lower context of our paravisor on AMD: VMPL 2 with vTOM.
    Vmpl2,
    /// Lower context of our paravisor on Intel: an L2 VM.
    L2,
}

impl Platform {
    /// The platform that belongs to a door.
    pub fn of(door: Door) -> Self {
        match door {
            Door::Native => Platform::Plain(Entry::Native),
            Door::Pvh => Platform::Plain(Entry::Pvh),
            Door::Snp => Platform::Snp(None),
            Door::Tdx => Platform::Tdx,
            Door::Vmpl2 => Platform::Vmpl2,
            Door::L2 => Platform::L2,
        }
    }

    /// Leaves by the architectural door. On a plain machine there is none: the reason goes to
    /// the console and the machine stops.
    pub fn refuse(&mut self, refusal: Refusal) -> ! {
        match self {
            Platform::Plain(_) => plain_refusal(refusal),
            // SAFETY: SNP was entered through its own door.
            Platform::Snp(_) | Platform::Vmpl2 => ghcb_msr::terminate(
                &mut unsafe { GhcbMsrPort::new() },
                TERMINATE_SET_TESSERA,
                refusal.code(),
            ),
            // SAFETY: TDX was entered through its own doors; an L2's call goes to its L1.
            Platform::Tdx | Platform::L2 => tdx::vmcall::fatal(
                &mut unsafe { TdcallPort::new() },
                vmcall::FATAL_TESSERA as u32 | u32::from(refusal.code()),
            ),
        }
        instr::halt_forever()
    }

    /// Sets up what claims need: on SNP pages that are shared, one of them registered as GHCB. Errors name the host.
    pub fn prepare(&mut self) -> Result<(), Refusal> {
        if let Platform::Snp(shared) = self {
            *shared = Some(snp::share()?);
        }
        Ok(())
    }

    /// CPUID as a claim. SNP: from the CPUID page, where the security processor vetted it.
    pub fn cpuid(&mut self, leaf: u32) -> Result<[u32; 4], Refusal> {
        match self {
            Platform::Plain(_) | Platform::Vmpl2 | Platform::L2 => {
                let answer = instr::cpuid(leaf, 0);
                Ok([answer.eax, answer.ebx, answer.ecx, answer.edx])
            }
            Platform::Snp(_) => snp::cpuid_page(leaf),
            // SAFETY: as in `refuse`.
            Platform::Tdx => tdx::vmcall::cpuid(&mut unsafe { TdcallPort::new() }, leaf, 0)
                .map_err(|_| Refusal::VmcallReplyInvalid),
        }
    }

    /// An MSR that may be absent (#GP). Errors: an answer that is neither.
    pub fn rdmsr(&mut self, msr: u32) -> Result<Option<u64>, Refusal> {
        let answer = match self {
            Platform::Plain(_) | Platform::Vmpl2 | Platform::L2 => {
                // SAFETY: reading has no effect on memory.
                return Ok(unsafe { probe::rdmsr(msr) });
            }
            Platform::Snp(Some(shared)) => ghcb::request::rdmsr(&mut shared.ghcb, msr),
            Platform::Snp(None) => return Err(Refusal::GhcbRegistrationRefused),
            // SAFETY: as in `refuse`.
            Platform::Tdx => tdx::vmcall::rdmsr(&mut unsafe { TdcallPort::new() }, msr),
        };
        match answer {
            Ok(value) => Ok(Some(value)),
            Err(Error::Host(HostFault::Inject(vector::GP))) => Ok(None),
            Err(_) if matches!(self, Platform::Tdx) => Err(Refusal::VmcallReplyInvalid),
            Err(_) => Err(Refusal::GhcbReplyInvalid),
        }
    }

    /// The evidence. Errors: what contradicts the door.
    pub fn evidence(&mut self) -> Result<Evidence, Refusal> {
        match self {
            Platform::Plain(entry) => {
                let leaf = instr::cpuid(tdx_cpuid::LEAF, 0);
                Evidence::plain(*entry, [leaf.ebx, leaf.ecx, leaf.edx])
            }
            Platform::Snp(Some(shared)) => Evidence::snp(&snp::facts(shared)?),
            Platform::Snp(None) => Err(Refusal::GhcbRegistrationRefused),
            Platform::Vmpl2 => Evidence::snp(&snp::processor_facts()),
            Platform::L2 => Ok(Evidence::tdx_l2()),
            Platform::Tdx => Evidence::tdx_l1(&tdx_facts()?),
        }
    }

    /// Bits of private and shared pages in page-table entries.
    pub fn bits(&self) -> PageBits {
        match self {
            Platform::Plain(_) => PageBits::default(),
            Platform::Vmpl2 => PageBits {
                private: 0,
                shared: 1 << VTOM_BIT,
            },
            Platform::Snp(_) => PageBits {
                private: 1 << C_BIT,
                shared: 0,
            },
            Platform::Tdx | Platform::L2 => PageBits {
                private: 0,
                shared: 1 << SHARED_BIT,
            },
        }
    }

    /// Whether a paravisor of ours is below.
    pub fn is_lower(&self) -> bool {
        matches!(self, Platform::Vmpl2 | Platform::L2)
    }

    /// Whether `layout::SHARED_PAGES` are shared with the host.
    pub fn shares(&self) -> bool {
        matches!(self, Platform::Snp(Some(_)))
    }
}

fn plain_refusal(refusal: Refusal) {
    let out = |byte| {
        // SAFETY: the console port of a plain machine.
        unsafe { instr::out8(tessera_defs::port::COM1, byte) }
    };
    for part in ["tessera: refused ", refusal.name(), "\n"] {
        part.bytes().for_each(out);
    }
    // SAFETY: soft off, on a machine that is to stop anyway.
    unsafe {
        instr::out16(
            tessera_defs::port::PM1A_CNT,
            tessera_defs::port::PM1A_SOFT_OFF,
        )
    }
}

fn tdx_facts() -> Result<TdxFacts, Refusal> {
    // SAFETY: TDX was entered through its own door.
    let mut call = unsafe { TdcallPort::new() };
    let info = tdx::module::info(&mut call).map_err(|_| Refusal::TdcallFailed)?;
    let num_l2_vms = tdx::module::vm_rd(&mut call, field::NUM_L2_VMS).unwrap_or(0);
    let leaf = instr::cpuid(tdx_cpuid::LEAF, 0);
    Ok(TdxFacts {
        signature: [leaf.ebx, leaf.ecx, leaf.edx],
        gpaw: u64::from(info.gpaw),
        attributes: info.attributes,
        num_l2_vms,
    })
}
