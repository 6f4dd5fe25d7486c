//! Hand-written cases: each mode's friendly boot, and one case for each refusal that the
//! decision can give.

use tessera_defs::mode::{HostProfile, Mode};
use tessera_defs::tdx::cpuid;
use tessera_handoff::launch::{FLAG_DEBUG_ALLOWED, FLAG_DEMO, placement};
use tessera_isolation::claims::{Claims, IsolationClaim, LeafClaim};
use tessera_isolation::evidence::{Entry, Evidence, SnpFacts, TdxFacts};
use tessera_isolation::names::strategies;
use tessera_isolation::policy::Policy;
use tessera_isolation::refusal::Refusal;
use tessera_isolation::select::{Decision, select};

const LOWER: Entry = Entry::SnpLower {
    vmpl: 2,
    vtom: true,
    reflect_vc: true,
};
const DEMO: (u32, u32, u32) = (0x1F, placement::HOST_CHOOSES, FLAG_DEMO);

fn at(entry: Entry) -> Evidence {
    Evidence {
        entry,
        platform_can_paravisor: true,
        debug: false,
    }
}

/// A leaf as hosts publish it, in Linux's words "Group A", "Group B".
fn leaf(group_a: u32, group_b: u32) -> Claims {
    let claim = IsolationClaim::from_words(group_a, group_b);
    Claims {
        leaves: LeafClaim::Isolation(claim),
        msr: None,
    }
}

fn other(leaves: LeafClaim) -> Claims {
    Claims { leaves, msr: None }
}

fn decide(
    claims: Claims,
    evidence: Evidence,
    policy: (u32, u32, u32),
) -> Result<Decision, Refusal> {
    let policy = Policy::from_fields(policy.0, policy.1, policy.2).unwrap();
    select(&claims, &evidence, &policy)
}

#[track_caller]
fn runs(claims: Claims, entry: Entry, mode: Mode, start_paravisor: bool, profile: HostProfile) {
    let decision = decide(claims, at(entry), DEMO).unwrap();
    assert_eq!(
        decision,
        Decision {
            mode,
            start_paravisor,
            profile
        }
    );
    let composed_by = if start_paravisor {
        HostProfile::HyperV
    } else {
        profile
    };
    assert_eq!(strategies(mode, composed_by).len(), 6);
}

#[track_caller]
fn refuses(claims: Claims, evidence: Evidence, policy: (u32, u32, u32), why: Refusal) {
    assert_eq!(decide(claims, evidence, policy), Err(why));
}

#[test]
fn friendly_boots() {
    use HostProfile::{HyperV, Kvm};
    let (snp_request, tdx_request) = (leaf(1, 0xBA2), leaf(1, 0xBE3));
    runs(
        other(LeafClaim::NotHyperV),
        Entry::Pvh,
        Mode::None,
        false,
        Kvm,
    );
    runs(
        other(LeafClaim::Absent),
        Entry::Native,
        Mode::None,
        false,
        Kvm,
    );
    runs(
        other(LeafClaim::Plain),
        Entry::Native,
        Mode::None,
        false,
        HyperV,
    );
    runs(leaf(0, 0), Entry::Native, Mode::None, false, HyperV);
    runs(
        other(LeafClaim::NotHyperV),
        Entry::SnpVmpl0,
        Mode::Snp,
        false,
        Kvm,
    );
    runs(leaf(0, 2), Entry::SnpVmpl0, Mode::Snp, false, HyperV);
    runs(leaf(0, 0xBE3), Entry::TdxL1, Mode::Tdx, false, HyperV);
    runs(
        snp_request,
        Entry::SnpVmpl0,
        Mode::SnpParavisor,
        true,
        HyperV,
    );
    runs(snp_request, LOWER, Mode::SnpParavisor, false, HyperV);
    runs(tdx_request, Entry::TdxL1, Mode::TdxParavisor, true, HyperV);
    runs(tdx_request, Entry::TdxL2, Mode::TdxParavisor, false, HyperV);
}

#[test]
fn each_refusal_of_the_decision() {
    let snp = at(Entry::SnpVmpl0);
    let (plain, request) = (leaf(0, 2), leaf(1, 0xBA2));
    refuses(
        plain,
        Evidence { debug: true, ..snp },
        DEMO,
        Refusal::DebugForbidden,
    );
    assert!(
        decide(
            plain,
            Evidence { debug: true, ..snp },
            (2, 0, FLAG_DEBUG_ALLOWED)
        )
        .is_ok()
    );
    refuses(
        leaf(0, 0),
        at(Entry::Native),
        (0x1E, 0, 0),
        Refusal::ModeForbidden,
    );
    refuses(request, snp, (0x06, 0, 0), Refusal::ModeForbidden);
    refuses(
        request,
        snp,
        (0x1F, placement::DIRECT, 0),
        Refusal::PlacementContradicts,
    );
    refuses(
        plain,
        snp,
        (0x1F, placement::PARAVISOR, 0),
        Refusal::PlacementContradicts,
    );
    let cannot = Evidence {
        platform_can_paravisor: false,
        ..snp
    };
    refuses(request, cannot, DEMO, Refusal::ParavisorUnavailable);
    let kvm = other(LeafClaim::NotHyperV);
    refuses(
        kvm,
        cannot,
        (0x1F, placement::PARAVISOR, 0),
        Refusal::ParavisorUnavailable,
    );
    refuses(
        other(LeafClaim::Truncated),
        snp,
        DEMO,
        Refusal::LeavesTruncated,
    );
    refuses(
        other(LeafClaim::Contradictory),
        snp,
        DEMO,
        Refusal::LeavesContradictory,
    );
    refuses(
        leaf(1, 0),
        at(Entry::Native),
        DEMO,
        Refusal::LeavesContradictory,
    );
    refuses(
        Claims {
            msr: Some(3 << 32),
            ..plain
        },
        snp,
        DEMO,
        Refusal::MsrDisagrees,
    );
    refuses(
        Claims {
            msr: Some(2 << 32),
            ..kvm
        },
        snp,
        DEMO,
        Refusal::MsrDisagrees,
    );
    refuses(leaf(0, 9), snp, DEMO, Refusal::IsolationTypeUnknown);
    refuses(leaf(0, 3), snp, DEMO, Refusal::IsolationTypeMismatch);
    refuses(
        leaf(0, 1),
        at(Entry::Native),
        DEMO,
        Refusal::IsolationTypeMismatch,
    );
    refuses(
        other(LeafClaim::Plain),
        snp,
        DEMO,
        Refusal::IsolationTypeMismatch,
    );
    refuses(leaf(1, 0xBE2), snp, DEMO, Refusal::BoundaryMismatch);
    refuses(leaf(1, 2), snp, DEMO, Refusal::BoundaryMismatch);
    let no_vtom = Entry::SnpLower {
        vmpl: 2,
        vtom: false,
        reflect_vc: true,
    };
    refuses(request, at(no_vtom), DEMO, Refusal::LowerContextInvalid);
    refuses(plain, at(LOWER), DEMO, Refusal::ParavisorLeafInvalid);
    refuses(kvm, at(Entry::TdxL2), DEMO, Refusal::ParavisorLeafInvalid);
}

#[test]
fn each_refusal_of_the_evidence() {
    let snp = SnpFacts {
        sev_status: 7,
        adjustable: [true; 3],
        c_bit: 51,
        hv_features: 1 << 5,
        debug: false,
    };
    assert_eq!(Evidence::snp(&snp), Ok(at(Entry::SnpVmpl0)));
    let lower = SnpFacts {
        sev_status: 0x5F,
        adjustable: [false, false, true],
        ..snp
    };
    assert_eq!(Evidence::snp(&lower), Ok(at(LOWER)));
    let refused = |facts: SnpFacts| Evidence::snp(&facts).unwrap_err();
    // Without AlternateInjection.
    assert_eq!(
        refused(SnpFacts {
            sev_status: 0x1F,
            ..lower
        }),
        Refusal::LowerContextInvalid
    );
    assert_eq!(
        refused(SnpFacts {
            sev_status: 3,
            ..snp
        }),
        Refusal::EntryContradicts
    );
    let holes = [true, false, true];
    assert_eq!(
        refused(SnpFacts {
            adjustable: holes,
            ..snp
        }),
        Refusal::EntryContradicts
    );
    assert_eq!(
        refused(SnpFacts {
            sev_status: 0xF,
            ..snp
        }),
        Refusal::SevFeaturesUnexpected
    );
    assert_eq!(
        refused(SnpFacts { c_bit: 47, ..snp }),
        Refusal::CBitMismatch
    );

    let tdx = TdxFacts {
        signature: cpuid::SIGNATURE,
        gpaw: 48,
        attributes: 0,
        num_l2_vms: 1,
    };
    assert_eq!(Evidence::tdx_l1(&tdx), Ok(at(Entry::TdxL1)));
    assert!(
        Evidence::tdx_l1(&TdxFacts {
            attributes: 1,
            ..tdx
        })
        .unwrap()
        .debug
    );
    assert!(
        !Evidence::tdx_l1(&TdxFacts {
            num_l2_vms: 0,
            ..tdx
        })
        .unwrap()
        .platform_can_paravisor
    );
    let refused = |facts: TdxFacts| Evidence::tdx_l1(&facts).unwrap_err();
    assert_eq!(
        refused(TdxFacts {
            signature: [0; 3],
            ..tdx
        }),
        Refusal::EntryContradicts
    );
    assert_eq!(refused(TdxFacts { gpaw: 52, ..tdx }), Refusal::GpawMismatch);
    let plain = |entry, signature| Evidence::plain(entry, signature);
    assert_eq!(
        plain(Entry::Native, cpuid::SIGNATURE),
        Err(Refusal::ProtectionUnused)
    );
    assert_eq!(plain(Entry::TdxL1, [0; 3]), Err(Refusal::EntryContradicts));
}

#[test]
fn a_policy_is_whole_or_refused() {
    for (modes, place, flags) in [(0, 0, 0), (0x20, 0, 0), (1, 3, 0), (1, 0, 8), (1, 0, 16)] {
        let refused = Policy::from_fields(modes, place, flags);
        assert_eq!(refused, Err(Refusal::LaunchBlockInvalid));
    }
}

#[test]
fn the_refusal_table_is_sound() {
    let mut last = 0;
    for refusal in Refusal::ALL {
        assert!((1..=0x7F).contains(&refusal.code()) && refusal.code() > last);
        last = refusal.code();
        assert_eq!(Refusal::from_code(last), Some(*refusal));
        assert_eq!(Refusal::from_name(refusal.name()), Some(*refusal));
        let kebab = |c: char| c.is_ascii_lowercase() || c == '-';
        assert!(refusal.name().chars().all(kebab), "{refusal}");
        assert!(!refusal.cause().is_empty() && !refusal.remedy().is_empty());
    }
    assert_eq!(
        (Refusal::from_code(0), Refusal::from_code(0xFE)),
        (None, None)
    );
}
