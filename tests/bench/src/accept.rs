//! Acceptance of a lot of memory: exits and instructions that it took, counted by the test host.

use crate::{counts::Told, rows::Row};
use tessera_defs::mode::{HostProfile, Mode};

/// Of how much there are rows: name, MiB.
pub const AMOUNTS: [(&str, u64); 2] = [("accept-1g", 1 << 10), ("accept-64g", 64 << 10)];
/// Modes that accept.
pub const MODES: [Mode; 4] = [Mode::Snp, Mode::Tdx, Mode::SnpParavisor, Mode::TdxParavisor];
/// MiB that a guest has beside what is to be accepted.
pub const BESIDE: u64 = 64;
/// Changes that one GHCB request can ask for (56421 rev. 2.04, 4.1.6).
const BATCH: u64 = 253;

const METHOD: &str = "after the first instruction of ring 3, by the test host; it backs by 2 MiB";

/// Processors of such a boot: all of them accept. Below a paravisor it accepts what is touched, or, in SNP
/// with several processors, all before the guest starts.
pub const fn processors(mode: Mode) -> u32 {
    match mode {
        Mode::SnpParavisor | Mode::TdxParavisor => 1,
        _ => 4,
    }
}

/// Hosts like KVM have the guest ask for memory; those like Hyper-V, which bring paravisors, hand it over.
pub const fn profile(mode: Mode) -> HostProfile {
    match mode {
        Mode::Snp => HostProfile::Kvm,
        _ => HostProfile::HyperV,
    }
}

/// One count of a mode: what is added to the row's name, the host's word for it, the unit.
type Count = (&'static str, &'static str, &'static str);

/// Exits for page states, and instructions that accept.
const fn counts(mode: Mode) -> [Count; 2] {
    match mode {
        Mode::Tdx | Mode::TdxParavisor => [
            ("exits", "map-gpa", "TDVMCALL<MapGPA>"),
            ("operations", "accept", "TDG.MEM.PAGE.ACCEPT"),
        ],
        _ => [
            ("exits", "psc", "VMGEXITs for page states"),
            ("operations", "pvalidate", "PVALIDATE"),
        ],
    }
}

/// The rows of a boot that accepted so many MiB; none of one that did not.
pub fn rows(mode: Mode, name: &str, mib: u64, told: &Told) -> Vec<Row> {
    let accepted = told.counts.get("accepted").copied().unwrap_or(0);
    let Some(ended) = told.ended.as_ref().filter(|_| accepted >= mib << 8) else {
        return Vec::new();
    };
    let boot = ended.boot.clone().unwrap_or_default().counted;
    let chunks = mib / 2;
    let limits = match mode {
        // Mapped ahead.
        Mode::Tdx | Mode::TdxParavisor | Mode::SnpParavisor => [0, chunks],
        _ => [chunks.div_ceil(BATCH), chunks],
    };
    let row = |((suffix, word, unit), limit): (Count, u64)| {
        let of =
            |all: &std::collections::BTreeMap<String, u64>| all.get(word).copied().unwrap_or(0);
        Row {
            figure: format!("{name}-{suffix}"),
            mode: crate::rows::hosted(mode),
            value: of(&ended.counted) - of(&boot),
            unit,
            peer: None,
            peer_value: None,
            limit: Some(limit),
            method: METHOD,
            reach: Some(limit + limit / 50),
        }
    };
    counts(mode).into_iter().zip(limits).map(row).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use tessera_matrix::report::{Boot, Ended};

    #[test]
    fn what_came_before_ring_3_is_not_counted() {
        let counted =
            |psc, pvalidate| [("psc".into(), psc), ("pvalidate".into(), pvalidate)].into();
        let boot = Boot {
            counted: counted(4, 9),
            ..Boot::default()
        };
        let ended = Ended {
            counted: counted(8, 532),
            boot: Some(boot),
            ..Ended::default()
        };
        let mut told = Told {
            ended: Some(ended),
            counts: [("accepted".into(), 1024 << 8)].into(),
        };
        let rows = super::rows(Mode::Snp, "accept-1g", 1024, &told);
        let short: Vec<_> = rows.iter().map(|r| (r.value, r.limit, r.reach)).collect();
        assert_eq!(short, [(4, Some(3), Some(3)), (523, Some(512), Some(522))]);
        assert_eq!(crate::rows::faults(&rows).len(), 2);
        told.counts.insert("accepted".into(), (1024 << 8) - 1);
        assert!(super::rows(Mode::Snp, "accept-1g", 1024, &told).is_empty());
    }
}
