//! The other virtual processors of a TD: the vmm starts them all at the reset vector, the first
//! one last, and runs them in turn. They have no timer and get no interrupt.

use super::{Step, Tdx, enter};
use crate::{
    memory::frames::Memory,
    silicon::tdx::{state, view},
    svm::{exit, vcpu::Vcpu},
    vmm::Vmm,
};
use alloc::vec::Vec;
use core::mem::swap;

/// Ticks of a turn.
const SLICE: u64 = 5_000;
/// Entries into the first processor between turns of the others.
const TURNS: u32 = 16;

/// Them, and whose turn it is.
#[derive(Debug, Default)]
pub struct Others {
    vcpus: Vec<Vcpu>,
    turn: u32,
}

impl Tdx {
    /// Adds the processors from 1 on.
    pub(super) fn add_others(&mut self, count: u32) {
        for index in 1..count {
            let mut vcpu = Vcpu::new(self.bitmaps, self.npt.root());
            state::reset(&mut vcpu, index);
            self.others.vcpus.push(vcpu);
        }
    }

    /// One turn of each, where it is their turn. What ends the run ends it.
    pub(super) fn run_others(&mut self, vmm: &mut Vmm, memory: &mut Memory) -> Step {
        let now = self.others.turn.is_multiple_of(TURNS);
        self.others.turn = self.others.turn.wrapping_add(1);
        if !now {
            return Step::Continue;
        }
        for n in 0..self.others.vcpus.len() {
            swap(&mut self.vcpu, &mut self.others.vcpus[n]);
            let step = self.run_other(vmm, memory);
            // The processor that ends a run stays, so that the report names its place.
            if step != Step::Continue {
                return step;
            }
            swap(&mut self.vcpu, &mut self.others.vcpus[n]);
        }
        Step::Continue
    }

    fn run_other(&mut self, vmm: &mut Vmm, memory: &mut Memory) -> Step {
        let mut seen = view::Seen {
            sept: &self.td.sept,
            shared: &self.shared,
            memory,
        };
        if let Err(end) = enter::run(vmm, &mut self.vcpu, &mut seen, SLICE) {
            return Step::End(end);
        }
        if vmm.last_exit.0 == exit::NPF {
            self.vcpu.reinject();
        }
        self.exit(vmm, memory)
    }
}
