//! The oracle of `select_table`: what each combination must lead to, row by row.

use tessera_defs::mode::Mode;
use tessera_isolation::evidence::Entry;

#[derive(Clone, Copy, Debug)]
pub enum Leaf {
    Absent,
    NotHyperV,
    Plain,
    Truncated,
    Contradictory,
    Isolation {
        kind: u32,
        paravisor: bool,
        boundary: Option<u32>,
    },
}

#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Msr {
    Absent,
    Agrees,
    OtherParavisor,
    OtherType,
    OtherBoundary,
}

impl Msr {
    pub const ALL: [Msr; 5] = [
        Msr::Absent,
        Msr::Agrees,
        Msr::OtherParavisor,
        Msr::OtherType,
        Msr::OtherBoundary,
    ];
}

#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Place {
    HostChooses,
    Direct,
    Paravisor,
}

impl Place {
    pub const ALL: [Place; 3] = [Place::HostChooses, Place::Direct, Place::Paravisor];
}

#[derive(Clone, Copy, Debug)]
pub struct Case {
    pub entry: Entry,
    pub leaf: Leaf,
    pub msr: Msr,
    pub place: Place,
    pub modes: u32,
    pub can: bool,
    pub debug: bool,
    pub debug_allowed: bool,
}

#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Outcome {
    Runs(Mode, bool),
    Refuses(&'static str),
}

pub struct Row {
    pub rule: &'static str,
    pub when: fn(&Case) -> bool,
    pub then: fn(&Case) -> Outcome,
}

impl Case {
    fn snp_lower(&self) -> bool {
        matches!(self.entry, Entry::SnpLower { .. })
    }

    fn snp_lower_as_built(&self) -> bool {
        self.entry
            == Entry::SnpLower {
                vmpl: 2,
                vtom: true,
                reflect_vc: true,
            }
    }

    fn lower(&self) -> bool {
        self.snp_lower() || self.entry == Entry::TdxL2
    }

    fn plain(&self) -> bool {
        matches!(self.entry, Entry::Native | Entry::Pvh)
    }

    fn snp(&self) -> bool {
        self.snp_lower() || self.entry == Entry::SnpVmpl0
    }

    /// Type, paravisor bit and boundary of the leaf; a Hyper-V without the leaf says 0.
    fn says(&self) -> Option<(u32, bool, Option<u32>)> {
        match self.leaf {
            Leaf::Plain => Some((0, false, None)),
            Leaf::Isolation {
                kind,
                paravisor,
                boundary,
            } => Some((kind, paravisor, boundary)),
            _ => None,
        }
    }

    fn true_kind(&self) -> u32 {
        if self.plain() {
            0
        } else if self.snp() {
            2
        } else {
            3
        }
    }

    fn true_boundary(&self) -> u32 {
        if self.snp() { 46 } else { 47 }
    }

    fn host_says_no(&self) -> bool {
        matches!(self.says(), Some((_, false, _)))
    }

    fn host_says_yes(&self) -> bool {
        matches!(self.says(), Some((_, true, _)))
    }

    /// Whether a paravisor is between this guest and the host, or is about to be.
    fn with_paravisor(&self) -> bool {
        self.lower() || self.host_says_yes() || self.place == Place::Paravisor
    }

    fn mode(&self) -> Mode {
        match (self.plain(), self.snp(), self.with_paravisor()) {
            (true, _, _) => Mode::None,
            (_, true, false) => Mode::Snp,
            (_, true, true) => Mode::SnpParavisor,
            (_, false, false) => Mode::Tdx,
            (_, false, true) => Mode::TdxParavisor,
        }
    }
}

macro_rules! rows {
    ($($rule:literal: $when:expr => $then:expr;)*) => {
        &[$(Row { rule: $rule, when: $when, then: $then }),*]
    };
}

/// First match wins.
pub const ORACLE: &[Row] = rows! {
    "debugging only where the owner allows it":
        |c| c.debug && !c.debug_allowed => |_| Outcome::Refuses("debug-forbidden");
    "a lower SNP context is VMPL 2 with vTOM and ReflectVC or nothing":
        |c| c.snp_lower() && !c.snp_lower_as_built()
        => |_| Outcome::Refuses("lower-context-invalid");
    "below a paravisor the leaf is exact":
        |c| c.lower() && c.says() != Some((c.true_kind(), true, Some(c.true_boundary())))
        => |_| Outcome::Refuses("paravisor-leaf-invalid");
    "below a paravisor the MSR is the leaf":
        |c| c.lower() && c.msr != Msr::Absent && c.msr != Msr::Agrees
        => |_| Outcome::Refuses("paravisor-leaf-invalid");
    "announced but truncated":
        |c| matches!(c.leaf, Leaf::Truncated) => |_| Outcome::Refuses("leaves-truncated");
    "announced but contradictory":
        |c| matches!(c.leaf, Leaf::Contradictory) => |_| Outcome::Refuses("leaves-contradictory");
    "where leaf and MSR exist they agree":
        |c| !matches!(c.msr, Msr::Absent | Msr::Agrees) => |_| Outcome::Refuses("msr-disagrees");
    "types above 3 are unknown":
        |c| c.says().is_some_and(|(kind, _, _)| kind > 3)
        => |_| Outcome::Refuses("isolation-type-unknown");
    "no isolation, yet a paravisor":
        |c| matches!(c.says(), Some((0, true, _))) => |_| Outcome::Refuses("leaves-contradictory");
    "no isolation, yet a boundary":
        |c| matches!(c.says(), Some((0, _, Some(_))))
        => |_| Outcome::Refuses("leaves-contradictory");
    "the type is the one that the evidence shows":
        |c| c.says().is_some_and(|(kind, _, _)| kind != c.true_kind())
        => |_| Outcome::Refuses("isolation-type-mismatch");
    "a boundary is this processor's":
        |c| matches!(c.says(), Some((_, _, Some(bits))) if bits != c.true_boundary())
        => |_| Outcome::Refuses("boundary-mismatch");
    "a paravisor needs a boundary":
        |c| matches!(c.says(), Some((_, true, None))) => |_| Outcome::Refuses("boundary-mismatch");
    "the owner wants none, but the host asks for one, or there is one":
        |c| c.place == Place::Direct && c.with_paravisor()
        => |_| Outcome::Refuses("placement-contradicts");
    "the owner wants a paravisor, the host none":
        |c| c.place == Place::Paravisor && c.host_says_no()
        => |_| Outcome::Refuses("placement-contradicts");
    "the owner wants a paravisor where none can be":
        |c| c.place == Place::Paravisor && c.plain()
        => |_| Outcome::Refuses("placement-contradicts");
    "the owner lists the mode":
        |c| c.modes & 1 << c.mode() as u32 == 0 => |_| Outcome::Refuses("mode-forbidden");
    "at the top a paravisor needs a platform that can":
        |c| !c.lower() && c.with_paravisor() && !c.can
        => |_| Outcome::Refuses("paravisor-unavailable");
    "at the top with a paravisor":
        |c| !c.lower() && c.with_paravisor() => |c| Outcome::Runs(c.mode(), true);
    "everything else runs as it was entered":
        |_| true => |c| Outcome::Runs(c.mode(), false);
};
