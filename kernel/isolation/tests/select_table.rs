//! Every combination of entry x claim x policy, one asserted outcome each.
//!
//! The expectation comes from `ORACLE`: rows written from DESIGN section 3, first match wins,
//! over a description of the case that shares no code with `select`.

mod oracle;

use oracle::{Case, Leaf, Msr, ORACLE, Outcome, Place};
use tessera_defs::mode::Mode;
use tessera_isolation::claims::{Claims, IsolationClaim, LeafClaim};
use tessera_isolation::evidence::{Entry, Evidence};
use tessera_isolation::policy::Policy;
use tessera_isolation::select::select;

fn entries() -> Vec<Entry> {
    let mut all = vec![
        Entry::SnpVmpl0,
        Entry::TdxL1,
        Entry::TdxL2,
        Entry::Native,
        Entry::Pvh,
    ];
    for vmpl in 1..=3 {
        for bits in 0..4 {
            all.push(Entry::SnpLower {
                vmpl,
                vtom: bits & 1 != 0,
                reflect_vc: bits & 2 != 0,
            });
        }
    }
    all
}

fn leaves() -> Vec<Leaf> {
    let mut all = vec![
        Leaf::Absent,
        Leaf::NotHyperV,
        Leaf::Plain,
        Leaf::Truncated,
        Leaf::Contradictory,
    ];
    for kind in [0, 1, 2, 3, 4, 15] {
        for paravisor in [false, true] {
            for boundary in [None, Some(0), Some(45), Some(46), Some(47)] {
                all.push(Leaf::Isolation {
                    kind,
                    paravisor,
                    boundary,
                });
            }
        }
    }
    all
}

fn claim(leaf: Leaf) -> LeafClaim {
    match leaf {
        Leaf::Absent => LeafClaim::Absent,
        Leaf::NotHyperV => LeafClaim::NotHyperV,
        Leaf::Plain => LeafClaim::Plain,
        Leaf::Truncated => LeafClaim::Truncated,
        Leaf::Contradictory => LeafClaim::Contradictory,
        Leaf::Isolation {
            kind,
            paravisor,
            boundary,
        } => LeafClaim::Isolation(IsolationClaim {
            paravisor,
            isolation_type: kind,
            boundary_active: boundary.is_some(),
            boundary_bits: boundary.unwrap_or(0),
        }),
    }
}

/// The MSR's value, encoded here by hand: EAX[0]; EBX[3:0], [5], [11:6] in the high half.
fn msr(msr: Msr, leaf: Leaf) -> Option<u64> {
    let agreeing = match leaf {
        Leaf::Isolation {
            kind,
            paravisor,
            boundary,
        } => {
            let boundary = boundary.map_or(0, |bits| 1 << 5 | u64::from(bits) << 6);
            u64::from(paravisor) | (u64::from(kind) | boundary) << 32
        }
        _ => 0,
    };
    match msr {
        Msr::Absent => None,
        Msr::Agrees => Some(agreeing),
        Msr::OtherParavisor => Some(agreeing ^ 1),
        Msr::OtherType => Some(agreeing ^ 1 << 32),
        Msr::OtherBoundary => Some(agreeing ^ 1 << 38),
    }
}

fn policy(case: &Case) -> Policy {
    let placement = match case.place {
        Place::HostChooses => 0,
        Place::Direct => 1,
        Place::Paravisor => 2,
    };
    Policy::from_fields(case.modes, placement, u32::from(case.debug_allowed) << 1).unwrap()
}

fn run(case: &Case) -> Outcome {
    let claims = Claims {
        leaves: claim(case.leaf),
        msr: msr(case.msr, case.leaf),
    };
    let evidence = Evidence {
        entry: case.entry,
        platform_can_paravisor: case.can,
        debug: case.debug,
    };
    match select(&claims, &evidence, &policy(case)) {
        Ok(decision) => Outcome::Runs(decision.mode, decision.start_paravisor),
        Err(refusal) => Outcome::Refuses(refusal.name()),
    }
}

fn every_case(mut visit: impl FnMut(&Case)) -> usize {
    let mut count = 0;
    let leaves = leaves();
    for entry in entries() {
        for &leaf in &leaves {
            for msr in Msr::ALL {
                for place in Place::ALL {
                    for flags in 0..8 {
                        for modes in 1..32 {
                            let [can, debug, debug_allowed] = [1, 2, 4].map(|bit| flags & bit != 0);
                            visit(&Case {
                                entry,
                                leaf,
                                msr,
                                place,
                                modes,
                                can,
                                debug,
                                debug_allowed,
                            });
                            count += 1;
                        }
                    }
                }
            }
        }
    }
    count
}

#[test]
fn every_combination_has_its_outcome() {
    let mut hits = vec![0usize; ORACLE.len()];
    let count = every_case(|case| {
        let row = ORACLE
            .iter()
            .position(|row| (row.when)(case))
            .expect("a row for every case");
        hits[row] += 1;
        assert_eq!(
            run(case),
            (ORACLE[row].then)(case),
            "row '{}', {case:?}",
            ORACLE[row].rule
        );
    });
    assert_eq!(count, 17 * 65 * 5 * 3 * 8 * 31);
    for (row, hits) in ORACLE.iter().zip(hits) {
        assert!(hits > 0, "row '{}' decides nothing", row.rule);
    }
}

#[test]
fn never_outside_the_policy_and_never_weaker_than_the_evidence() {
    every_case(|case| {
        let Outcome::Runs(mode, start) = run(case) else {
            return;
        };
        assert!(case.modes & 1 << mode as u32 != 0, "{case:?}");
        let possible: &[(Mode, bool)] = match case.entry {
            Entry::SnpVmpl0 => &[(Mode::Snp, false), (Mode::SnpParavisor, true)],
            Entry::TdxL1 => &[(Mode::Tdx, false), (Mode::TdxParavisor, true)],
            Entry::SnpLower {
                vmpl: 2,
                vtom: true,
                reflect_vc: true,
            } => &[(Mode::SnpParavisor, false)],
            Entry::SnpLower { .. } => &[],
            Entry::TdxL2 => &[(Mode::TdxParavisor, false)],
            Entry::Native | Entry::Pvh => &[(Mode::None, false)],
        };
        assert!(possible.contains(&(mode, start)), "{case:?}");
        assert!(!case.debug || case.debug_allowed, "{case:?}");
        assert!(!start || case.can, "{case:?}");
    });
}
