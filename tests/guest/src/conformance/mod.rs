//! A guest that probes the test host: each row of `models` that names a probe has it here. The host is told
//! so (`probing=1`) and blames it for nothing. It prints `probe: NAME ok` or `probe: NAME failed` for each probe
//! of its mode, and turns the machine off.

pub mod hyperv;
mod tdx;

use crate::answers;
use crate::processors::{Machine, calls, sets, snp as by_ghcb, synthetic};
use crate::tdx::vmcall;
use core::fmt::{self, Write};
use tessera_defs::mode::{HostProfile, Mode};
use tessera_defs::port::COM1;
use tessera_defs::snp::vc;
use tessera_defs::tdx::vmcall as call;
use tessera_guest::catalogue::{PROBE_LINE, PROBE_OK};
use tessera_guest::models::CONFORMANCE;
use tessera_handoff::handoff::Handoff;

/// True where the platform does what its specification says.
pub type Probe = fn(&mut Machine) -> bool;

/// Runs every probe of this mode and host. Does not return.
pub fn run(handoff: &'static Handoff) -> ! {
    let mut machine = Machine::new(handoff);
    answers::trap::install();
    calls::prepare(&mut machine);
    if machine.mode == Mode::SnpParavisor {
        by_ghcb::find_ghcb(&mut machine);
    }
    answers::ALL
        .into_iter()
        .chain([answers::injection::HYPERV, answers::injection::KVM])
        .chain([tdx::ALL, hyperv::ALL, synthetic::ALL, sets::ALL])
        .for_each(|some| try_all(&mut machine, some));
    calls::end(machine.mode, None)
}

fn try_all(machine: &mut Machine, probes: &[(&str, Probe)]) {
    let profile = match machine.hyperv {
        true => HostProfile::HyperV,
        false => HostProfile::Kvm,
    };
    let mode = machine.mode;
    let runs = |name: &str| {
        let known = CONFORMANCE.iter().find(|check| check.name == name);
        known.is_none_or(|check| check.runs(mode, profile))
    };
    for (name, probe) in probes.iter().filter(|(name, _)| runs(name)) {
        let verdict = if probe(machine) { PROBE_OK } else { " failed" };
        let _never_fails = writeln!(Console(mode), "{PROBE_LINE}{name}{verdict}");
    }
}

struct Console(Mode);

impl Write for Console {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        for byte in text.bytes() {
            let (port, byte) = (u64::from(COM1), u64::from(byte));
            match self.0 {
                Mode::Snp => {
                    by_ghcb::port_out(port << vc::io::PORT_SHIFT | vc::io::SZ8, byte);
                }
                Mode::Tdx => drop(vmcall([call::IO, 1, 1, port, byte])),
                _ => crate::lower::machine::say(format_args!("{}", char::from(byte as u8))),
            }
        }
        Ok(())
    }
}
