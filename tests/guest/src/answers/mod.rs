//! A guest in VMPL 0 that asks the SNP host and its processor what they must answer, rightly and wrongly: the
//! host is told so (`probing=1`) and blames it for nothing. `instructions` are those of the RMP, `exceptions` the
//! causes of #VC, `events` the GHCB page and its MSR, `injection` what may be injected and how. The first
//! probe that fails is told to the host by its number.

mod events;
mod exceptions;
mod injection;
mod instructions;
pub mod trap;

use crate::processors::{Machine, calls, machine};
use crate::window::Guest;
use tessera_defs::mode::{HostProfile, Mode};
use tessera_handoff::handoff::Handoff;

/// Whether the platform does what its specification says.
type Probe = fn(&mut Machine) -> bool;

/// Runs them all.
pub fn run(handoff: &'static Handoff) -> ! {
    let mut machine = Machine {
        guest: Guest::new(handoff),
        mode: Mode::Snp,
        hyperv: handoff.profile == HostProfile::HyperV as u32,
        count: (handoff.vp_count as usize).min(machine::MOST),
    };
    machine::prepare(0);
    trap::install();
    calls::prepare(&mut machine);
    let injection = match machine.hyperv {
        true => injection::HYPERV,
        false => injection::KVM,
    };
    let all = [instructions::ALL, exceptions::ALL, events::ALL, injection];
    let mut probes = all.into_iter().flatten();
    let failed = probes.position(|(_, probe)| !probe(&mut machine));
    calls::end(Mode::Snp, failed)
}
