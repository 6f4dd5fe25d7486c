//! Whether the isolation operations that the host saw are those of the reported strategies.

use tessera_defs::mode::Mode;

/// What a strategy does, as the host sees it.
struct Strategy {
    /// Name in the kernel's banner.
    name: &'static str,
    /// The mode in which it does so; the same strategy over another paravisor shows other
    /// operations. `None` for all.
    mode: Option<Mode>,
    /// Operations that must be seen when it is used to the end of an orderly boot.
    needs: &'static [&'static str],
    /// Operations that it explains beside those.
    explains: &'static [&'static str],
}

const fn silent(name: &'static str) -> Strategy {
    Strategy {
        name,
        mode: None,
        needs: &[],
        explains: &[],
    }
}

/// The strategies of the modes in the table of scenarios. An unknown name is a fault, so that
/// a new strategy cannot go unchecked.
static STRATEGIES: &[Strategy] = &[
    Strategy {
        name: "native",
        mode: None,
        needs: &[],
        explains: &["mmio", "hypercall"],
    },
    silent("plain"),
    silent("no-acceptance"),
    silent("boot-processor"),
    // The paravisor on further processors.
    Strategy {
        name: "start-call",
        mode: Some(Mode::SnpParavisor),
        needs: &[],
        explains: &["hypercall", "start-vp"],
    },
    Strategy {
        name: "start-call",
        mode: Some(Mode::TdxParavisor),
        needs: &[],
        explains: &[],
    },
    silent("init-sipi"),
    silent("wake-words"),
    // With one processor nothing is asked for; `checks` counts those that run.
    Strategy {
        name: "save-areas",
        mode: None,
        needs: &[],
        explains: &["ap-creation", "start-vp", "rmpadjust"],
    },
    silent("x2apic"),
    silent("unattested"),
    silent("apic-timer"),
    silent("told-time-stamp"),
    silent("time-stamp"),
    Strategy {
        name: "ghcb",
        mode: None,
        needs: &["vmgexit"],
        explains: &["hypercall", "mmio"],
    },
    Strategy {
        name: "snp-psc",
        mode: None,
        needs: &["psc"],
        explains: &[],
    },
    // RMPADJUST is how the stub learns its VMPL.
    Strategy {
        name: "pvalidate",
        mode: None,
        needs: &["pvalidate"],
        explains: &["rmpadjust"],
    },
    silent("ghcb-x2apic"),
    Strategy {
        name: "tdvmcall",
        mode: None,
        needs: &["tdvmcall"],
        explains: &["tdcall", "hypercall", "mmio"],
    },
    Strategy {
        name: "tdx-mapgpa",
        mode: None,
        needs: &["map-gpa"],
        explains: &[],
    },
    Strategy {
        name: "tdx-accept",
        mode: None,
        needs: &["accept"],
        explains: &[],
    },
    silent("tdvmcall-x2apic"),
    // The module sees them; the host counts them, and would not on real hardware.
    Strategy {
        name: "tdx-report",
        mode: None,
        needs: &["rtmr-extend", "tdreport"],
        explains: &[],
    },
    // Below our paravisor: what the host sees is VMPL 0's or L1's.
    Strategy {
        name: "hypercall",
        mode: Some(Mode::SnpParavisor),
        needs: &["ap-creation", "run-vmpl", "vmgexit"],
        // The paravisor registers the lower context's GHCB and the pages of its synthetic interrupts, where the
        // host has Hyper-V's interface. It gives the host's IOAPIC what its guest gives its own.
        explains: &["hypercall", "set-vp-registers", "mmio"],
    },
    Strategy {
        name: "hv-visibility",
        mode: Some(Mode::SnpParavisor),
        needs: &["psc", "pvalidate"],
        explains: &[],
    },
    Strategy {
        name: "paravisor-accepted",
        mode: Some(Mode::SnpParavisor),
        needs: &["rmpadjust"],
        explains: &[],
    },
    Strategy {
        name: "hypercall",
        mode: Some(Mode::TdxParavisor),
        needs: &["vp-enter", "tdvmcall"],
        explains: &["tdcall", "hypercall", "set-vp-registers", "mmio"],
    },
    Strategy {
        name: "hv-visibility",
        mode: Some(Mode::TdxParavisor),
        needs: &["map-gpa", "accept"],
        explains: &[],
    },
    Strategy {
        name: "paravisor-accepted",
        mode: Some(Mode::TdxParavisor),
        needs: &["page-attributes"],
        explains: &[],
    },
    Strategy {
        name: "paravisor-report",
        mode: Some(Mode::SnpParavisor),
        needs: &["guest-request"],
        explains: &[],
    },
    Strategy {
        name: "paravisor-report",
        mode: Some(Mode::TdxParavisor),
        needs: &["rtmr-extend", "tdreport"],
        explains: &[],
    },
    Strategy {
        name: "snp-report",
        mode: None,
        needs: &["guest-request"],
        explains: &[],
    },
];

/// What does not fit, a sentence each. `orderly`: the boot went to its end, so that everything
/// that a strategy needs must have been seen.
pub fn faults(
    mode: Mode,
    strategies: &[String],
    operations: &[String],
    orderly: bool,
) -> Vec<String> {
    check(STRATEGIES, mode, strategies, operations, orderly)
}

fn check(
    known: &[Strategy],
    mode: Mode,
    strategies: &[String],
    operations: &[String],
    orderly: bool,
) -> Vec<String> {
    let mut faults = Vec::new();
    let mut used = Vec::new();
    for name in strategies {
        let is = |s: &&Strategy| s.name == name && s.mode.is_none_or(|of| of == mode);
        match known.iter().find(is) {
            Some(strategy) => used.push(strategy),
            None => faults.push(format!("the kernel reports the unknown strategy `{name}`")),
        }
    }
    if orderly && strategies.is_empty() {
        faults.push("the kernel reports no strategies".into());
    }
    for strategy in used.iter().filter(|_| orderly) {
        for need in strategy
            .needs
            .iter()
            .filter(|need| !operations.iter().any(|op| op == *need))
        {
            let name = strategy.name;
            faults.push(format!(
                "strategy `{name}` is reported, but the host saw no `{need}`"
            ));
        }
    }
    // Before the banner the stub works with what the strategies will be; a refusal there
    // reports none, and proves nothing about operations.
    for operation in operations.iter().filter(|_| !strategies.is_empty()) {
        let of = |s: &&&Strategy| s.needs.iter().chain(s.explains).any(|op| op == operation);
        if !used.iter().any(|strategy| of(&strategy)) {
            faults.push(format!(
                "the host saw `{operation}`, which no reported strategy explains"
            ));
        }
    }
    faults
}

#[cfg(test)]
mod tests {
    use super::*;

    static KNOWN: &[Strategy] = &[
        Strategy {
            name: "a",
            mode: None,
            needs: &["x"],
            explains: &["y"],
        },
        silent("b"),
        Strategy {
            name: "d",
            mode: Some(Mode::Tdx),
            needs: &[],
            explains: &[],
        },
    ];

    fn faults(strategies: &[&str], operations: &[&str], orderly: bool) -> usize {
        let own = |words: &[&str]| words.iter().map(|w| (*w).to_owned()).collect::<Vec<_>>();
        check(
            KNOWN,
            Mode::Snp,
            &own(strategies),
            &own(operations),
            orderly,
        )
        .len()
    }

    #[test]
    fn what_fits_has_no_faults() {
        assert_eq!(faults(&["a", "b"], &["x", "y"], true), 0);
        assert_eq!(faults(&["b"], &[], true), 0);
        assert_eq!(faults(&["a"], &[], false), 0);
        assert_eq!(faults(&[], &["x"], false), 0);
    }

    #[test]
    fn everything_else_is_a_fault() {
        assert_eq!(faults(&["a"], &[], true), 1);
        assert_eq!(faults(&["b"], &["x"], true), 1);
        assert_eq!(faults(&["b"], &["x"], false), 1);
        assert_eq!(faults(&["c"], &[], true), 1);
        assert_eq!(faults(&["d"], &[], true), 1);
        assert_eq!(faults(&[], &[], true), 1);
    }
}
