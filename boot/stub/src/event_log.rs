//! The event log: digests of what was heard from the host, and the decision. Written in VMPL 0,
//! in L1 or on a plain machine; the stub of a lower context finds it written, and read-only.

use crate::memory;
use tessera_defs::binding::{Event, event};
use tessera_handoff::layout::{
    EVENT_LOG, PARAM_COMMAND_LINE, PARAM_MADT, PARAM_MEMORY_MAP, PARAM_VP,
};
use tessera_isolation::select::Decision;
use tessera_protocol::binding;

/// Leaves that fit: `LeafClaim::read` asks for five at most.
const LEAVES: usize = 8;

/// What the host said before the decision, as it came.
#[derive(Default)]
pub struct Heard {
    leaves: [[u32; 5]; LEAVES],
    count: usize,
    /// The isolation MSR, where it is there.
    pub msr: Option<u64>,
}

impl Heard {
    /// A leaf that was asked for, and its answer.
    pub fn leaf(&mut self, leaf: u32, [a, b, c, d]: [u32; 4]) {
        self.leaves[self.count] = [leaf, a, b, c, d];
        self.count += 1;
    }
}

/// Writes the log.
pub fn write(heard: &Heard, decision: &Decision) {
    let page = |kind, gpa| binding::event(kind, memory::bytes(gpa, 4096));
    let log = binding::log([
        leaves(heard),
        heard.msr.map_or_else(
            || binding::event(event::ISOLATION_MSR, &[]),
            |value| binding::event(event::ISOLATION_MSR, &value.to_le_bytes()),
        ),
        page(event::MEMORY_MAP, PARAM_MEMORY_MAP),
        page(event::PROCESSORS, PARAM_VP),
        page(event::MADT, PARAM_MADT),
        page(event::COMMAND_LINE, PARAM_COMMAND_LINE),
        words(
            event::DECISION,
            &[decision.mode as u32, decision.profile as u32],
        ),
    ]);
    memory::write_value(EVENT_LOG, &log);
}

fn leaves(heard: &Heard) -> Event {
    words(event::LEAVES, heard.leaves[..heard.count].as_flattened())
}

fn words(kind: u32, words: &[u32]) -> Event {
    binding::event(kind, zerocopy::IntoBytes::as_bytes(words))
}
