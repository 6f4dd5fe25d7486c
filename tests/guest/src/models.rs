//! What the test host models, as data: the tables of `tests/host/README.md` are these rows, and each row
//! names what probes it. Sources: 24593 is APM vol. 2, 24594 APM vol. 3, 56421 the GHCB standard rev. 2.04,
//! 348551 the TDX module ABI, 348552 the GHCI 1.5, TLFS Hyper-V's top-level functional specification 6.0b.

mod hyperv;
mod snp;
mod tdx;

use core::fmt::{self, Write};
use tessera_defs::mode::{HostProfile, Mode};

/// What the host makes of an item.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum State {
    /// As the source says.
    Modelled,
    /// Refused as the source lets a host refuse it.
    Refused(&'static str),
    /// No public guest reaches it: why.
    Absent(&'static str),
    /// Public guests may reach it, and it is still to be built: what they meet instead.
    Open(&'static str),
}

/// What shows that a row is true.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Probe {
    /// A probe of the conformance guest (`CONFORMANCE`).
    Conformance(&'static str),
    /// A broken guest of `catalogue::ALL`.
    Act(&'static str),
    /// The guest that starts the other processors.
    Processors,
    /// The guest that is L1 of a partitioned TD.
    L1,
    /// The guest that probes the paravisor, below which the item stands.
    Paravisor,
    /// Nothing.
    None,
}

/// One item.
#[derive(Clone, Copy, Debug)]
pub struct Row {
    /// Its name.
    pub item: &'static str,
    /// Document and section.
    pub source: &'static str,
    /// What the host makes of it.
    pub state: State,
    /// What shows it.
    pub probe: Probe,
}

const fn row(item: &'static str, source: &'static str, state: State, probe: Probe) -> Row {
    Row {
        item,
        source,
        state,
        probe,
    }
}

/// Every table: title and rows.
pub static GROUPS: &[(&str, &[Row])] = &[
    ("Instructions on pages (SNP)", snp::INSTRUCTIONS),
    ("Causes of #VC and #HV", snp::CAUSES),
    ("GHCB MSR protocol", snp::MSR_PROTOCOL),
    ("GHCB page events", snp::EVENTS),
    ("TDCALL leaves", tdx::LEAVES),
    ("TDG.VP.VMCALL sub-functions", tdx::CALLS),
    ("Causes of #VE", tdx::CAUSES),
    ("Hyper-V CPUID leaves", hyperv::CPUID),
    ("Hyper-V MSRs", hyperv::MSRS),
    ("Hyper-V hypercalls", hyperv::CALLS),
];

/// Rows that are open. It only falls.
pub const OPEN: usize = 0;

/// A probe of the conformance guest.
#[derive(Clone, Copy, Debug)]
pub struct Check {
    /// Name on the console.
    pub name: &'static str,
    /// The modes that have it.
    pub modes: &'static [Mode],
    /// The host that has it; `None`: each.
    pub profile: Option<HostProfile>,
}

const fn check(name: &'static str, modes: &'static [Mode]) -> Check {
    let profile = None;
    Check {
        name,
        modes,
        profile,
    }
}

const fn on(profile: HostProfile, name: &'static str, modes: &'static [Mode]) -> Check {
    let profile = Some(profile);
    Check {
        name,
        modes,
        profile,
    }
}

const HYPERV: HostProfile = HostProfile::HyperV;
/// The modes without a paravisor, and those with one.
const ALONE: &[Mode] = &[Mode::None, Mode::Snp, Mode::Tdx];
const BELOW: &[Mode] = &[Mode::SnpParavisor, Mode::TdxParavisor];
const ALL: &[Mode] = &[
    Mode::None,
    Mode::Snp,
    Mode::Tdx,
    Mode::SnpParavisor,
    Mode::TdxParavisor,
];
const SNP: &[Mode] = &[Mode::Snp];
const TDX: &[Mode] = &[Mode::Tdx];
/// Who calls the host by a GHCB, and by TDG.VP.VMCALL.
const GHCB: &[Mode] = &[Mode::Snp, Mode::SnpParavisor];
const VMCALL: &[Mode] = &[Mode::Tdx, Mode::TdxParavisor];

/// Every probe of the conformance guest, in order.
pub static CONFORMANCE: &[Check] = &[
    check("pvalidate", SNP),
    check("pvalidate-input", SNP),
    check("pvalidate-size", SNP),
    check("rmpadjust", SNP),
    check("rmpadjust-size", SNP),
    check("rmpquery-offered", SNP),
    check("rmpquery", SNP),
    check("rmpquery-vmsa", SNP),
    check("validation-resets", SNP),
    check("rmp-not-validated", SNP),
    check("rmp-ring-3", SNP),
    check("vc-cpuid", SNP),
    check("vc-rdmsr", SNP),
    check("vc-wrmsr", SNP),
    check("vc-port", SNP),
    check("vc-port-string", SNP),
    check("vc-caches", SNP),
    check("vc-monitor", SNP),
    check("vc-vmmcall", SNP),
    check("vc-debug-control", SNP),
    check("vc-rdpmc", SNP),
    check("vc-device-memory", SNP),
    check("vc-not-validated", SNP),
    check("vc-halt", SNP),
    check("vc-no-exception", SNP),
    check("msr-sev-info", GHCB),
    check("msr-cpuid", GHCB),
    check("msr-page-state", SNP),
    check("request-cpuid", GHCB),
    check("request-msr", SNP),
    check("request-port", GHCB),
    check("request-memory", GHCB),
    check("request-nmi-complete", GHCB),
    check("request-features", GHCB),
    check("request-page-states", SNP),
    check("request-report-short", SNP),
    check("event-unknown", GHCB),
    check("event-incomplete", GHCB),
    check("event-usage", GHCB),
    check("event-msr", GHCB),
    check("event-time-stamp", GHCB),
    check("event-counter", GHCB),
    check("event-debug-control", GHCB),
    check("event-monitor", GHCB),
    check("event-string-port", GHCB),
    check("event-scratch", GHCB),
    check("event-device-memory", GHCB),
    check("event-page-state", SNP),
    check("event-page-sizes", SNP),
    check("event-doorbell", SNP),
    check("event-private-messages", SNP),
    check("event-not-registered", SNP),
    check("msr-errors", SNP),
    check("reset-hold", SNP),
    on(HYPERV, "both-features", SNP),
    on(HYPERV, "restricted", SNP),
    on(HYPERV, "interrupt-by-doorbell", SNP),
    on(HYPERV, "ipi-by-event", SNP),
    on(HYPERV, "nmi-by-doorbell", SNP),
    on(HYPERV, "no-further-signal", SNP),
    on(HYPERV, "interrupts-closed", SNP),
    on(HYPERV, "halt-with-interrupts-closed", SNP),
    on(HYPERV, "without-doorbell", SNP),
    on(HYPERV, "nothing-else", SNP),
    on(HYPERV, "alternate", SNP),
    on(HostProfile::Kvm, "other-features", SNP),
    on(HostProfile::Kvm, "nmi-until-complete", SNP),
    check("vp-info", TDX),
    check("report", TDX),
    check("rtmr-extend", TDX),
    check("veinfo", TDX),
    check("vm-rd", TDX),
    check("vm-wr", TDX),
    check("sys-rd", TDX),
    check("servtd", TDX),
    check("ve-instructions", TDX),
    check("ve-cpuid", TDX),
    check("ve-port-msr", TDX),
    check("ve-device-memory", TDX),
    check("ve-double-fault", TDX),
    check("no-counters", TDX),
    check("cpuid-ve", TDX),
    check("verify-report", TDX),
    check("vp-rd-wr", TDX),
    check("accept", TDX),
    check("call-info", VMCALL),
    check("call-map-gpa", TDX),
    check("call-get-quote", TDX),
    check("call-notify", TDX),
    check("call-cpuid", VMCALL),
    check("call-port", VMCALL),
    check("call-msr", TDX),
    check("call-mmio", VMCALL),
    check("call-unsupported", VMCALL),
    on(HYPERV, "hv-leaves", ALL),
    on(HYPERV, "hv-identity", ALL),
    on(HYPERV, "hv-clocks", ALL),
    on(HYPERV, "hv-apic", ALONE),
    on(HYPERV, "hv-apic-of-the-paravisor", BELOW),
    on(HYPERV, "hv-absent", ALL),
    on(HYPERV, "hv-assist", ALL),
    on(HYPERV, "hv-reference-tsc", ALL),
    on(HYPERV, "hv-synic", ALL),
    on(HYPERV, "hv-no-connection", ALL),
    on(HYPERV, "hv-message", ALL),
    on(HYPERV, "hv-masked", ALL),
    on(HYPERV, "hv-source-refused", ALL),
    on(HYPERV, "hv-auto-eoi", &[Mode::None, Mode::Snp]),
    on(HYPERV, "hv-event", ALL),
    on(HYPERV, "hv-timer-message", ALL),
    on(HYPERV, "hv-timer-stopped", ALL),
    on(HYPERV, "hv-timer-direct", ALONE),
    on(HYPERV, "hv-timer-refused", ALL),
    on(HYPERV, "hv-timer-lazy", ALONE),
    on(HYPERV, "hv-source-of-the-paravisor", BELOW),
    on(HYPERV, "hv-proxied-only", BELOW),
    on(HYPERV, "hv-flush", ALL),
    on(HYPERV, "hv-cluster-ipi", ALONE),
    on(HYPERV, "hv-cluster-ipi-below", BELOW),
    on(HYPERV, "hv-spin-wait", ALL),
    on(HYPERV, "hv-index", ALL),
    on(HYPERV, "hv-set-registers-refused", ALL),
    on(HYPERV, "hv-no-call", ALL),
];

impl Check {
    /// Whether a boot has it.
    pub fn runs(&self, mode: Mode, profile: HostProfile) -> bool {
        let host = self.profile.is_none_or(|only| only == profile);
        self.modes.contains(&mode) && host
    }
}

/// The tables in Markdown, as they stand in the host's README.
pub fn render(out: &mut dyn Write) -> fmt::Result {
    for (title, rows) in GROUPS {
        write!(
            out,
            "\n### {title}\n\n| item | source | state | probe |\n|---|---|---|---|\n"
        )?;
        for row in *rows {
            writeln!(
                out,
                "| {} | {} | {} | {} |",
                row.item, row.source, row.state, row.probe
            )?;
        }
    }
    Ok(())
}

impl fmt::Display for State {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            State::Modelled => write!(f, "modelled"),
            State::Refused(how) => write!(f, "refused: {how}"),
            State::Absent(why) => write!(f, "absent: {why}"),
            State::Open(what) => write!(f, "**open**: {what}"),
        }
    }
}

impl fmt::Display for Probe {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Probe::Conformance(name) => write!(f, "conformance `{name}`"),
            Probe::Act(name) => write!(f, "broken guest `{name}`"),
            Probe::Processors => write!(f, "guest `processors`"),
            Probe::L1 => write!(f, "guest `l1-probes`"),
            Probe::Paravisor => write!(f, "guest `probe-paravisor`"),
            Probe::None => write!(f, "none"),
        }
    }
}
