//! What each door's platform can be asked before anything is decided, and its way out.
#![allow(unsafe_code)] // isolation instructions, each on the door that proves the platform

use crate::entry::Door;
use crate::memory;
use tessera_defs::refusal::Refusal;
use tessera_defs::snp::cpuid_page::CpuidPage;
use tessera_defs::snp::ghcb_msr::TERMINATE_SET_TESSERA;
use tessera_defs::snp::rmp as rmp_defs;
use tessera_defs::snp::status::{C_BIT, CPUID_ENCRYPTION, MSR_SEV_STATUS, VTOM_BIT};
use tessera_defs::tdx::page::SHARED_BIT;
use tessera_defs::tdx::{cpuid as tdx_cpuid, field, vmcall};
use tessera_defs::x86::vector;
use tessera_handoff::layout::{BOOT_TABLES, CPUID_PAGE, EXCHANGE_PAGE, GHCB_PAGE};
use tessera_hw::ghcb_page::GhcbPage;
use tessera_hw::host::{GhcbMsrPort, RmpPort, TdcallPort};
use tessera_hw::shared::SharedPage;
use tessera_hw::{instr, probe};
use tessera_isolation::evidence::{Entry, Evidence, SnpFacts, TdxFacts};
use tessera_objects::tables::PageBits;
use tessera_protocol::error::{Error, HostFault};
use tessera_protocol::traits::{Rmp, RmpOperation};
use tessera_protocol::{ghcb, ghcb_msr, rmp, tdx};

/// Second GiB of the boot tables: an alias of the first 2 MiB with shared entries.
const SHARED_ALIAS: u64 = 1 << 30;

/// A platform before the decision.
pub enum Platform {
    /// Plain machine (`None` evidence but the door).
    Plain(Entry),
    /// SNP, VMPL 0; the GHCB once it is shared and registered.
    Snp(Option<GhcbPage>),
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

    /// Sets up what claims need: on SNP a shared, registered GHCB. Errors name the host.
    pub fn prepare(&mut self) -> Result<(), Refusal> {
        if let Platform::Snp(ghcb) = self {
            *ghcb = Some(share_ghcb()?);
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
            Platform::Snp(_) => cpuid_page(leaf),
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
            Platform::Snp(Some(ghcb)) => ghcb::request::rdmsr(ghcb, msr),
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
            Platform::Snp(_) => Evidence::snp(&snp_facts(true)?),
            Platform::Vmpl2 => Evidence::snp(&snp_facts(false)?),
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

    /// Whether the GHCB page is shared with the host.
    pub fn ghcb_is_shared(&self) -> bool {
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

fn cpuid_page(leaf: u32) -> Result<[u32; 4], Refusal> {
    let page: CpuidPage = memory::read(CPUID_PAGE);
    let count = page.count as usize;
    let functions = page
        .functions
        .get(..count)
        .ok_or(Refusal::CpuidPageInvalid)?;
    let found = functions.iter().find(|f| f.eax_in == leaf && f.ecx_in == 0);
    Ok(found.map_or([0; 4], |f| [f.eax, f.ebx, f.ecx, f.edx]))
}

/// GHCB: private page -> host says shared -> alias without C-bit -> registered.
fn share_ghcb() -> Result<GhcbPage, Refusal> {
    // SAFETY: SNP was entered through its own door; the page holds nothing.
    let (mut msr, mut pvalidate) = unsafe { (GhcbMsrPort::new(), RmpPort::new()) };
    ghcb_msr::negotiate(&mut msr, C_BIT as u8).map_err(|_| Refusal::ProtocolVersion)?;
    rmp::pvalidate(&mut pvalidate, GHCB_PAGE, false, false)
        .map_err(|_| Refusal::PageAlreadyValidated)?;
    ghcb_msr::page_state(&mut msr, GHCB_PAGE, ghcb_msr::PageState::Shared)
        .map_err(|_| Refusal::VisibilityRefused)?;
    let table = BOOT_TABLES + 0x3000;
    memory::write_boot_table(table, 0, 0xE3);
    memory::write_boot_table(BOOT_TABLES + 0x1000, 1, table | 0x23 | 1 << C_BIT);
    ghcb_msr::register_ghcb(&mut msr, GHCB_PAGE).map_err(|_| Refusal::GhcbRegistrationRefused)?;
    // SAFETY: the page is shared and mapped there for as long as the stub runs.
    Ok(unsafe { GhcbPage::new(SharedPage::new(SHARED_ALIAS + GHCB_PAGE, GHCB_PAGE)) })
}

/// `host` asks the host for its features, which only VMPL 0 may.
fn snp_facts(host: bool) -> Result<SnpFacts, Refusal> {
    // SAFETY: SNP was entered through its own door; SEV_STATUS cannot be intercepted there.
    let (sev_status, mut msr, mut rmpadjust) = unsafe {
        (
            instr::rdmsr(MSR_SEV_STATUS),
            GhcbMsrPort::new(),
            RmpPort::new(),
        )
    };
    let full = u64::from(rmp_defs::PERM_ALL) << rmp_defs::ATTR_PERM_SHIFT;
    let mut adjustable = [false; 3];
    for (n, slot) in adjustable.iter_mut().enumerate() {
        let attributes = full | (n as u64 + 1);
        let operation = RmpOperation::Rmpadjust { attributes };
        *slot = rmpadjust.execute(operation, EXCHANGE_PAGE, false).0 == rmp_defs::SUCCESS;
    }
    let (mut hv_features, mut c_bit) = (0, 0);
    if host {
        hv_features = ghcb_msr::features(&mut msr).map_err(|_| Refusal::GhcbReplyInvalid)?;
        c_bit = cpuid_page(CPUID_ENCRYPTION)?[1] & 0x3F;
    }
    Ok(SnpFacts {
        sev_status,
        adjustable,
        c_bit,
        hv_features,
        debug: false,
    })
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
