//! Strategy names, as the kernel prints them and the matrix checks them against the isolation
//! instructions that the host saw.
//!
//! Order in a row: host calls, page visibility, memory acceptance, processors, interrupts,
//! attestation (what the hardware signs about this mode). The clock follows them, by what was found
//! (`strategy::clock::Clock::name`).

use tessera_defs::mode::{HostProfile, Mode};

/// Names in a row.
pub const COLUMNS: usize = 6;

/// One row.
struct Row {
    mode: Mode,
    profiles: &'static [HostProfile],
    names: [&'static str; COLUMNS],
}

const ANY: &[HostProfile] = &[HostProfile::Kvm, HostProfile::HyperV];
/// A paravisor always shows the guest above it the Hyper-V interface.
const HYPERV: &[HostProfile] = &[HostProfile::HyperV];

#[rustfmt::skip]
static ROWS: [Row; 5] = [
    Row { mode: Mode::None, profiles: ANY, names: ["native", "plain", "no-acceptance",
        "init-sipi", "x2apic", "unattested"] },
    Row { mode: Mode::Snp, profiles: ANY, names: ["ghcb", "snp-psc", "pvalidate",
        "save-areas", "ghcb-x2apic", "snp-report"] },
    Row { mode: Mode::Tdx, profiles: ANY, names: ["tdvmcall", "tdx-mapgpa", "tdx-accept",
        "wake-words", "tdvmcall-x2apic", "tdx-report"] },
    Row { mode: Mode::SnpParavisor, profiles: HYPERV, names: ["hypercall", "hv-visibility",
        "paravisor-accepted", "start-call", "x2apic", "paravisor-report"] },
    Row { mode: Mode::TdxParavisor, profiles: HYPERV, names: ["hypercall", "hv-visibility",
        "paravisor-accepted", "start-call", "x2apic", "paravisor-report"] },
];

/// The strategies of a mode under a profile; empty for a pair that `select` never returns for
/// a guest kernel (a paravisor's guest without Hyper-V leaves).
pub fn strategies(mode: Mode, profile: HostProfile) -> &'static [&'static str] {
    let row = ROWS
        .iter()
        .find(|row| row.mode == mode && row.profiles.contains(&profile));
    row.map_or(&[], |row| &row.names)
}
