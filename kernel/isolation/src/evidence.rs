//! Evidence: what a host cannot forge in a genuine launch.

use crate::refusal::Refusal;
use tessera_defs::snp::{ghcb_msr::hv_features, status};
use tessera_defs::tdx::{cpuid, field::attributes, page};

/// The bits of SEV_STATUS that every SNP guest shows.
const SNP_STATUS: u64 = status::SEV | status::SEV_ES | status::SEV_SNP;

/// Where the guest stands, by its entry path and what the processor confirms.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Entry {
    /// SNP, VMPL 0.
    SnpVmpl0,
    /// SNP, a numerically higher VMPL, with what its SEV_STATUS shows.
    SnpLower {
        /// VMPL found by RMPADJUST probes, 1..=3.
        vmpl: u8,
        /// SEV_STATUS: vTOM.
        vtom: bool,
        /// SEV_STATUS: ReflectVC.
        reflect_vc: bool,
    },
    /// The L1 of a TD.
    TdxL1,
    /// An L2 VM of a partitioned TD.
    TdxL2,
    /// A plain machine, entered by its native context.
    Native,
    /// A plain machine, entered by PVH.
    Pvh,
}

/// Everything that `select` relies upon.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Evidence {
    /// Where the guest stands.
    pub entry: Entry,
    /// The platform can run a paravisor: GHCB multi-VMPL, or NUM_L2_VMS >= 1.
    pub platform_can_paravisor: bool,
    /// The host can debug the guest: TD attribute DEBUG, or bit DEBUG of the SNP guest policy, which
    /// a report tells in VMPL 0. In a lower context the paravisor's decision holds: `false`.
    pub debug: bool,
}

/// Raw facts of an SNP entry.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SnpFacts {
    /// SEV_STATUS, which cannot be intercepted.
    pub sev_status: u64,
    /// RMPADJUST of an own page worked for VMPL 1, 2, 3.
    pub adjustable: [bool; 3],
    /// Position of the C-bit (CPUID page or GHCB SEV information).
    pub c_bit: u32,
    /// GHCB hypervisor features; 0 in a lower context.
    pub hv_features: u64,
    /// A report showed the debug bit of the guest policy.
    pub debug: bool,
}

/// Raw facts of a TDX L1 entry.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TdxFacts {
    /// EBX, ECX, EDX of CPUID leaf 0x21.
    pub signature: [u32; 3],
    /// GPAW of TDG.VP.INFO, bits.
    pub gpaw: u64,
    /// ATTRIBUTES of TDG.VP.INFO.
    pub attributes: u64,
    /// NUM_L2_VMS by TDG.VM.RD; 0 where the module does not know the field.
    pub num_l2_vms: u64,
}

impl Evidence {
    /// Evidence of an SNP entry, at any VMPL. Errors: `EntryContradicts`,
    /// `SevFeaturesUnexpected`, `CBitMismatch` (host); `LowerContextInvalid` (paravisor).
    pub fn snp(facts: &SnpFacts) -> Result<Evidence, Refusal> {
        if facts.sev_status & SNP_STATUS != SNP_STATUS {
            return Err(Refusal::EntryContradicts);
        }
        let entry = snp_entry(facts)?;
        // With vTOM the tables of a lower context have no C-bit.
        if entry == Entry::SnpVmpl0 && facts.c_bit != status::C_BIT {
            return Err(Refusal::CBitMismatch);
        }
        let platform_can_paravisor = facts.hv_features & hv_features::MULTI_VMPL != 0;
        Ok(Evidence {
            entry,
            platform_can_paravisor,
            debug: facts.debug,
        })
    }

    /// Evidence of a TDX reset entry. Errors: `EntryContradicts`, `GpawMismatch` (host).
    pub fn tdx_l1(facts: &TdxFacts) -> Result<Evidence, Refusal> {
        if facts.signature != cpuid::SIGNATURE {
            return Err(Refusal::EntryContradicts);
        }
        if facts.gpaw != page::GPAW {
            return Err(Refusal::GpawMismatch);
        }
        Ok(Evidence {
            entry: Entry::TdxL1,
            platform_can_paravisor: facts.num_l2_vms >= 1,
            debug: facts.attributes & attributes::DEBUG != 0,
        })
    }

    /// Evidence of a lower entry that SEV_STATUS does not explain: the L2 of a TD.
    pub const fn tdx_l2() -> Evidence {
        Evidence {
            entry: Entry::TdxL2,
            platform_can_paravisor: false,
            debug: false,
        }
    }

    /// Evidence of a native or PVH entry; `signature` is EBX, ECX, EDX of leaf 0x21.
    /// Errors: `ProtectionUnused` where a TDX module answers (host); `EntryContradicts` for an
    /// entry that is not plain.
    pub fn plain(entry: Entry, signature: [u32; 3]) -> Result<Evidence, Refusal> {
        if !matches!(entry, Entry::Native | Entry::Pvh) {
            return Err(Refusal::EntryContradicts);
        }
        if signature == cpuid::SIGNATURE {
            return Err(Refusal::ProtectionUnused);
        }
        Ok(Evidence {
            entry,
            platform_can_paravisor: false,
            debug: false,
        })
    }
}

/// A VMPL may adjust exactly the numerically higher ones; VMPL 0 runs with SEV_FEATURES 1.
fn snp_entry(facts: &SnpFacts) -> Result<Entry, Refusal> {
    let vmpl = match facts.adjustable {
        [true, true, true] if facts.sev_status != SNP_STATUS => {
            return Err(Refusal::SevFeaturesUnexpected);
        }
        [true, true, true] => return Ok(Entry::SnpVmpl0),
        [false, true, true] => 1,
        [false, false, true] => 2,
        [false, false, false] => 3,
        _ => return Err(Refusal::EntryContradicts),
    };
    // Without it this context's interrupts and exceptions are the host's.
    if facts.sev_status & status::STATUS_ALTERNATE_INJECTION == 0 {
        return Err(Refusal::LowerContextInvalid);
    }
    let vtom = facts.sev_status & status::STATUS_VTOM != 0;
    let reflect_vc = facts.sev_status & status::STATUS_REFLECT_VC != 0;
    Ok(Entry::SnpLower {
        vmpl,
        vtom,
        reflect_vc,
    })
}
