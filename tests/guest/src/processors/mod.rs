//! A guest of several processors that probes the test host: it starts them in the way of its mode, and
//! sends, halts and times on each. `plain`, `snp` and `tdx` are the ways; `machine` is what a processor
//! needs to run Rust, `calls` how it reaches its APIC, `work` what the started ones do.

pub mod below;
pub mod calls;
pub mod machine;
mod plain;
mod probes;
pub mod sets;
pub mod snp;
pub mod synthetic;
mod tdx;
pub mod work;

use crate::window::Guest;
use tessera_defs::mode::{HostProfile, Mode};
use tessera_guest::catalogue;
use tessera_handoff::handoff::Handoff;

/// What a way of starting needs.
pub struct Machine {
    /// Memory.
    pub guest: Guest,
    /// Where it runs.
    pub mode: Mode,
    /// The host has Hyper-V's interface.
    pub hyperv: bool,
    /// Processors by the host's claim.
    pub count: usize,
}

/// Does what `act` says: most run every probe, and the first that fails is told to the host by its
/// number.
pub fn run(handoff: &'static Handoff, act: &str) -> ! {
    let mut machine = Machine::new(handoff);
    let mode = machine.mode;
    calls::prepare(&mut machine);
    match (act, mode) {
        (catalogue::LIED_WITHHELD, _) => probes::wait_for_one(&mut machine, 1),
        (catalogue::LIED_TWICE, Mode::None) => {
            probes::wait_for_one(&mut machine, 2);
            calls::end(mode, None)
        }
        (catalogue::LIED_LOST, _) => probes::wait_for_signal(&mut machine),
        _ => {}
    }
    let failed = probes::ALL
        .iter()
        .position(|(_, probe)| !probe(&mut machine));
    calls::end(mode, failed)
}

impl Machine {
    /// Of processor 0, which gets its handlers.
    pub fn new(handoff: &'static Handoff) -> Self {
        machine::prepare(0);
        Self {
            guest: Guest::new(handoff),
            mode: Mode::from_u32(handoff.mode).unwrap_or(Mode::None),
            hyperv: handoff.profile == HostProfile::HyperV as u32,
            count: (handoff.vp_count as usize).min(machine::MOST),
        }
    }

    /// Starts processor `index`, which has not run, or was stopped.
    pub fn start(&mut self, index: usize) -> bool {
        match self.mode {
            Mode::Snp => snp::start(self, index),
            Mode::Tdx => tdx::start(self, index),
            // Below a paravisor, which has the ways of a plain machine, too.
            _ => plain::start(self, index),
        }
    }

    /// Stops processor `index`; `false` where the mode has no way to.
    pub fn stop(&mut self, index: usize) -> bool {
        match self.mode {
            Mode::Snp => snp::stop(self, index),
            Mode::Tdx => false,
            _ => plain::stop(index),
        }
    }
}
