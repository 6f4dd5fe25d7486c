//! The virtual processors of a TD: the vmm starts them all at the reset vector (TDH.VP.ENTER), and
//! runs them in turns. Each has registers, #VE information and an L2 VM of its own; memory and its
//! tables are the TD's.

use super::{Lower, Tdx};
use crate::{
    memory::frames::Memory,
    silicon::tdx::{l2::vm::Vm, state, ve::Info},
    svm::vcpu::Vcpu,
    vmm::{Vmm, lies, vp::Activity},
};
use core::mem::swap;

/// A processor whose turn it is not.
#[derive(Debug)]
pub struct Parked {
    vcpu: Vcpu,
    ve: Option<Info>,
    cpuid_ve: u64,
    l2: Vm,
    lower: Lower,
}

impl Tdx {
    /// TDH.VP.CREATE of the processors from 1 on.
    pub(super) fn add_others(&mut self, memory: &Memory, count: u32) {
        let size = match self.td.l2_vms {
            0 => 0,
            _ => memory.size(),
        };
        for index in 1..count {
            let mut vcpu = Vcpu::new(self.bitmaps, self.npt.root());
            state::reset(&mut vcpu, index);
            self.others.add(Parked {
                vcpu,
                ve: None,
                cpuid_ve: 0,
                l2: self.td.l2.clone(),
                lower: Lower::new(size),
            });
        }
    }

    /// The processor whose turn it is comes into hand.
    pub(super) fn take_turn(&mut self, vmm: &mut Vmm) {
        self.signals(vmm);
        let next = vmm.current();
        if self.others.current() == next {
            return;
        }
        (vmm.machine.save_fpu)(&mut self.vcpu);
        let Self {
            others,
            vcpu,
            td,
            lower,
            ..
        } = self;
        others.switch_by(next, |parked| {
            swap(vcpu, &mut parked.vcpu);
            swap(&mut td.ve, &mut parked.ve);
            swap(&mut td.cpuid_ve, &mut parked.cpuid_ve);
            swap(&mut td.l2, &mut parked.l2);
            swap(lower, &mut parked.lower);
        });
        td.index = next as u32;
        (vmm.machine.load_fpu)(&self.vcpu);
    }

    /// INIT and startup IPIs do nothing. The module starts a processor once, with its own registers,
    /// and runs it on one processor of the machine at a time: a host that tries otherwise is stopped.
    fn signals(&mut self, vmm: &mut Vmm) {
        vmm.vp().start = None;
        let tries = [lies::PROCESSOR_TWICE, lies::PROCESSOR_OTHER];
        if tries.contains(&vmm.scenario.lie) && vmm.lies_told() == [0, 0] {
            vmm.stopped();
        }
    }

    /// The vmm never enters the processors that it withholds.
    pub(super) fn withhold(&self, vmm: &mut Vmm) {
        if vmm.vps.len() > 1 && vmm.tells(lies::PROCESSOR_WITHHELD) {
            vmm.vps[1..]
                .iter_mut()
                .for_each(|vp| vp.activity = Activity::Absent);
        }
    }

    /// Nested tables of every processor's L2 VM.
    pub(super) fn lower_tables(&mut self) -> impl Iterator<Item = &mut crate::svm::npt::Npt> {
        let others = self.others.others().map(|parked| &mut parked.lower.npt);
        others.chain([&mut self.lower.npt])
    }
}
