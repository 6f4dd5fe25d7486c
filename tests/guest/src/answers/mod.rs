//! What a guest in VMPL 0 asks an SNP host and its processor, rightly and wrongly: probes of `conformance`.
//! `instructions` are those of the RMP, `exceptions` the causes of #VC, `requests` and `events` the GHCB page and
//! its MSR, `injection` what may be injected and how; `ring3`
//! one instruction in ring 3.

mod events;
mod exceptions;
mod hold;
pub mod injection;
mod instructions;
mod requests;
mod ring3;
pub mod trap;

use crate::conformance::Probe;

/// All but those of `injection`, which depend on the host.
pub const ALL: [&[(&str, Probe)]; 5] = [
    instructions::ALL,
    exceptions::ALL,
    requests::ALL,
    events::ALL,
    hold::ALL,
];
