//! VMPL 0 of an SNP guest before the decision: what it shares with the host, and its facts.
#![allow(unsafe_code)] // ports of SNP, in whose door this was entered

use crate::{guest_policy, memory};
use tessera_defs::refusal::Refusal;
use tessera_defs::snp::cpuid_page::CpuidPage;
use tessera_defs::snp::rmp as rmp_defs;
use tessera_defs::snp::status::{C_BIT, CPUID_ENCRYPTION, MSR_SEV_STATUS, POLICY_DEBUG};
use tessera_handoff::layout::{
    BOOT_TABLES, CPUID_PAGE, EXCHANGE_PAGE, GHCB_PAGE, MESSAGE_REQUEST, MESSAGE_RESPONSE,
    SHARED_PAGES,
};
use tessera_hw::ghcb_page::GhcbPage;
use tessera_hw::host::{GhcbMsrPort, RmpPort};
use tessera_hw::instr;
use tessera_hw::message_pages::MessagePair;
use tessera_hw::shared::SharedPage;
use tessera_isolation::evidence::SnpFacts;
use tessera_protocol::traits::{Rmp, RmpOperation};
use tessera_protocol::{ghcb_msr, rmp};

/// Second GiB of the boot tables: an alias of the first 2 MiB with shared entries.
const SHARED_ALIAS: u64 = 1 << 30;

/// What VMPL 0 shares with the host.
pub struct Shared {
    /// Registered GHCB.
    pub ghcb: GhcbPage,
    messages: MessagePair,
}

/// Shares `SHARED_PAGES`: private page -> host says shared -> alias without C-bit; the first one is
/// registered as GHCB. Errors name the host.
pub fn share() -> Result<Shared, Refusal> {
    // SAFETY: SNP was entered through its own door; the pages hold nothing.
    let (mut msr, mut pvalidate) = unsafe { (GhcbMsrPort::new(), RmpPort::new()) };
    ghcb_msr::negotiate(&mut msr, C_BIT as u8).map_err(|_| Refusal::ProtocolVersion)?;
    for page in SHARED_PAGES {
        rmp::pvalidate(&mut pvalidate, page, false, false)
            .map_err(|_| Refusal::PageAlreadyValidated)?;
        ghcb_msr::page_state(&mut msr, page, ghcb_msr::PageState::Shared)
            .map_err(|_| Refusal::VisibilityRefused)?;
    }
    let table = BOOT_TABLES + 0x3000;
    memory::write_boot_table(table, 0, 0xE3);
    memory::write_boot_table(BOOT_TABLES + 0x1000, 1, table | 0x23 | 1 << C_BIT);
    ghcb_msr::register_ghcb(&mut msr, GHCB_PAGE).map_err(|_| Refusal::GhcbRegistrationRefused)?;
    // SAFETY: the pages are shared and mapped there for as long as the stub runs.
    unsafe {
        let alias = |page| SharedPage::new(SHARED_ALIAS + page, page);
        Ok(Shared {
            ghcb: GhcbPage::new(alias(GHCB_PAGE)),
            messages: MessagePair::new(alias(MESSAGE_REQUEST), alias(MESSAGE_RESPONSE)),
        })
    }
}

/// A leaf from the CPUID page.
pub fn cpuid_page(leaf: u32) -> Result<[u32; 4], Refusal> {
    let page: CpuidPage = memory::read(CPUID_PAGE);
    let count = page.count as usize;
    let functions = page
        .functions
        .get(..count)
        .ok_or(Refusal::CpuidPageInvalid)?;
    let found = functions.iter().find(|f| f.eax_in == leaf && f.ecx_in == 0);
    Ok(found.map_or([0; 4], |f| [f.eax, f.ebx, f.ecx, f.edx]))
}

/// Facts of VMPL 0, with what host and security processor are asked.
pub fn facts(shared: &mut Shared) -> Result<SnpFacts, Refusal> {
    // SAFETY: as in `share`.
    let mut msr = unsafe { GhcbMsrPort::new() };
    let hv_features = ghcb_msr::features(&mut msr).map_err(|_| Refusal::GhcbReplyInvalid)?;
    let policy = guest_policy::read(&mut shared.ghcb, &mut shared.messages)?;
    Ok(SnpFacts {
        c_bit: cpuid_page(CPUID_ENCRYPTION)?[1] & 0x3F,
        hv_features,
        debug: policy & POLICY_DEBUG != 0,
        ..processor_facts()
    })
}

/// What the processor alone tells, at any VMPL. Below VMPL 0 nobody else is asked: the paravisor
/// would not be there if the policy forbade what the report says.
pub fn processor_facts() -> SnpFacts {
    // SAFETY: SNP was entered through its own door; SEV_STATUS cannot be intercepted there.
    let (sev_status, mut rmpadjust) = unsafe { (instr::rdmsr(MSR_SEV_STATUS), RmpPort::new()) };
    let full = u64::from(rmp_defs::PERM_ALL) << rmp_defs::ATTR_PERM_SHIFT;
    let mut adjustable = [false; 3];
    for (n, slot) in adjustable.iter_mut().enumerate() {
        let attributes = full | (n as u64 + 1);
        let operation = RmpOperation::Rmpadjust { attributes };
        *slot = rmpadjust.execute(operation, EXCHANGE_PAGE, false).0 == rmp_defs::SUCCESS;
    }
    SnpFacts {
        sev_status,
        adjustable,
        c_bit: 0,
        hv_features: 0,
        debug: false,
    }
}
