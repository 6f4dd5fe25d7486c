//! The decision. Pure: everything that it knows stands in its arguments. Every path that is
//! not listed ends in a refusal.

use crate::claims::{Claims, IsolationClaim, LeafClaim};
use crate::evidence::{Entry, Evidence};
use crate::policy::{Placement, Policy};
use crate::refusal::Refusal;
use tessera_defs::hyperv::{ISOLATION_NONE, ISOLATION_SNP, ISOLATION_TDX};
use tessera_defs::mode::{HostProfile, Mode};
use tessera_defs::{snp::status::VTOM_BIT, tdx::page::SHARED_BIT};

/// The one VMPL in which our paravisor starts the guest.
const LOWER_VMPL: u8 = 2;

/// What was decided.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Decision {
    /// The mode of the guest kernel.
    pub mode: Mode,
    /// This context must start the bundled paravisor, which starts the guest kernel.
    pub start_paravisor: bool,
    /// What the host, or the paravisor in a lower context, looks like.
    pub profile: HostProfile,
}

/// What an entry can become.
struct Platform {
    isolation_type: u32,
    boundary_bits: u32,
    direct: Mode,
    paravisor: Option<Mode>,
}

const SNP: Platform = Platform {
    isolation_type: ISOLATION_SNP,
    boundary_bits: VTOM_BIT,
    direct: Mode::Snp,
    paravisor: Some(Mode::SnpParavisor),
};
const TDX: Platform = Platform {
    isolation_type: ISOLATION_TDX,
    boundary_bits: SHARED_BIT,
    direct: Mode::Tdx,
    paravisor: Some(Mode::TdxParavisor),
};
const PLAIN: Platform = Platform {
    isolation_type: ISOLATION_NONE,
    boundary_bits: 0,
    direct: Mode::None,
    paravisor: None,
};

/// Decides the mode, or refuses by name. Rules: DESIGN section 3, restated in README.md.
pub fn select(claims: &Claims, evidence: &Evidence, policy: &Policy) -> Result<Decision, Refusal> {
    if evidence.debug && !policy.debug_allowed() {
        return Err(Refusal::DebugForbidden);
    }
    match evidence.entry {
        Entry::SnpVmpl0 => select_top(&SNP, claims, evidence, policy),
        Entry::TdxL1 => select_top(&TDX, claims, evidence, policy),
        Entry::Native | Entry::Pvh => select_top(&PLAIN, claims, evidence, policy),
        Entry::SnpLower {
            vmpl: LOWER_VMPL,
            vtom: true,
            reflect_vc: true,
        } => select_lower(&SNP, Mode::SnpParavisor, claims, policy),
        Entry::SnpLower { .. } => Err(Refusal::LowerContextInvalid),
        Entry::TdxL2 => select_lower(&TDX, Mode::TdxParavisor, claims, policy),
    }
}

/// VMPL 0, L1 or a plain machine: the leaf is a request of the host.
fn select_top(
    platform: &Platform,
    claims: &Claims,
    evidence: &Evidence,
    policy: &Policy,
) -> Result<Decision, Refusal> {
    let (request, profile) = host_request(platform, claims)?;
    let paravisor = place(request, policy.placement())?;
    let mode = match paravisor {
        false => platform.direct,
        true => platform.paravisor.ok_or(Refusal::PlacementContradicts)?,
    };
    permit(mode, policy)?;
    if paravisor && !evidence.platform_can_paravisor {
        return Err(Refusal::ParavisorUnavailable);
    }
    Ok(Decision {
        mode,
        start_paravisor: paravisor,
        profile,
    })
}

/// Under a paravisor: nothing but its own mode, and only if its leaf describes this context.
fn select_lower(
    platform: &Platform,
    mode: Mode,
    claims: &Claims,
    policy: &Policy,
) -> Result<Decision, Refusal> {
    let expected = IsolationClaim {
        paravisor: true,
        isolation_type: platform.isolation_type,
        boundary_active: true,
        boundary_bits: platform.boundary_bits,
    };
    if claims.leaves != LeafClaim::Isolation(expected) || !msr_agrees(claims.msr, expected) {
        return Err(Refusal::ParavisorLeafInvalid);
    }
    place(Some(true), policy.placement())?;
    permit(mode, policy)?;
    Ok(Decision {
        mode,
        start_paravisor: false,
        profile: HostProfile::HyperV,
    })
}

/// What the host asks for: a paravisor or none; `None` if it has no Hyper-V leaves.
fn host_request(
    platform: &Platform,
    claims: &Claims,
) -> Result<(Option<bool>, HostProfile), Refusal> {
    let (claim, profile) = match claims.leaves {
        LeafClaim::Truncated => return Err(Refusal::LeavesTruncated),
        LeafClaim::Contradictory => return Err(Refusal::LeavesContradictory),
        LeafClaim::Absent | LeafClaim::NotHyperV => (None, HostProfile::Kvm),
        LeafClaim::Plain => (Some(IsolationClaim::default()), HostProfile::HyperV),
        LeafClaim::Isolation(claim) => (Some(claim), HostProfile::HyperV),
    };
    // A host without leaves may answer unknown MSRs with 0, which claims nothing.
    if !msr_agrees(claims.msr, claim.unwrap_or_default()) {
        return Err(Refusal::MsrDisagrees);
    }
    if let Some(claim) = claim {
        check_isolation(platform, claim)?;
    }
    Ok((claim.map(|c| c.paravisor), profile))
}

fn msr_agrees(msr: Option<u64>, claim: IsolationClaim) -> bool {
    msr.is_none_or(|value| IsolationClaim::from_msr(value) == claim)
}

fn check_isolation(platform: &Platform, claim: IsolationClaim) -> Result<(), Refusal> {
    let none = claim.isolation_type == ISOLATION_NONE;
    if claim.isolation_type > ISOLATION_TDX {
        return Err(Refusal::IsolationTypeUnknown);
    }
    if none && (claim.paravisor || claim.boundary_active) {
        return Err(Refusal::LeavesContradictory);
    }
    if claim.isolation_type != platform.isolation_type {
        return Err(Refusal::IsolationTypeMismatch);
    }
    let fits = claim.boundary_bits == platform.boundary_bits;
    match (claim.boundary_active, claim.paravisor) {
        (true, _) if !fits => Err(Refusal::BoundaryMismatch),
        (false, true) => Err(Refusal::BoundaryMismatch),
        _ => Ok(()),
    }
}

/// Joins the host's request with the owner's placement: whether a paravisor runs.
fn place(request: Option<bool>, placement: Placement) -> Result<bool, Refusal> {
    match (placement, request) {
        (Placement::HostChooses, request) => Ok(request.unwrap_or(false)),
        (Placement::Direct, None | Some(false)) => Ok(false),
        (Placement::Paravisor, None | Some(true)) => Ok(true),
        (Placement::Direct, Some(true)) | (Placement::Paravisor, Some(false)) => {
            Err(Refusal::PlacementContradicts)
        }
    }
}

fn permit(mode: Mode, policy: &Policy) -> Result<(), Refusal> {
    if policy.allows(mode) {
        Ok(())
    } else {
        Err(Refusal::ModeForbidden)
    }
}
