//! TDX: the run loop of the L1 VM; `lower` is that of its L2 VM. `exits` and `faults` are what
//! the module does with an exit, `calls` joins TDCALL to the vmm, `host` is what the vmm does with
//! the TD's pages; `turn` exchanges the virtual processors.

mod calls;
mod exits;
mod faults;
mod host;
mod lower;
mod quote;
#[cfg(test)]
mod tests;
mod turn;

use super::{Access, LaunchPage, PageKind, Step, Technology, enter, processors::Processors};
use crate::{
    memory::{
        frames::{Memory, PAGE},
        walk,
    },
    report,
    silicon::tdx::{l2::vm::Vm, state, td::Td, view},
    svm::{bitmaps::Bitmaps, npt::Npt, vcpu::Vcpu},
    vmm::{Vmm, lies, parameters::FIRMWARE, scenario::Inject},
};
use alloc::{boxed::Box, collections::BTreeSet, string::String};
use lower::Lower;
use tessera_defs::{
    mode::{HostProfile, Mode},
    tdx::field::attributes,
};
use turn::Parked;

/// Bits of CR4 that the processor has for a TD, by its CPUID: UMIP, FSGSBASE, PCIDE, OSXSAVE,
/// SMEP, SMAP where they are, and those of every 64-bit processor.
fn cr4_bits(vmm: &Vmm) -> u64 {
    let [_, _, basic, _] = (vmm.machine.cpuid)(1, 0);
    let [_, ebx, ecx, _] = (vmm.machine.cpuid)(7, 0);
    [
        (ecx, 2, 11),
        (ebx, 0, 16),
        (basic, 17, 17),
        (basic, 26, 18),
        (ebx, 7, 20),
        (ebx, 20, 21),
    ]
    .into_iter()
    .filter(|(word, feature, _)| word >> feature & 1 == 1)
    .fold(0x7FF, |bits, (_, _, bit)| bits | 1 << bit)
}

/// A TD; `vcpu`, `td.own` and `lower` are of the processor whose turn it is.
#[derive(Debug)]
pub struct Tdx {
    vcpu: Vcpu,
    others: Processors<Parked>,
    bitmaps: &'static Bitmaps,
    npt: Npt,
    td: Td,
    lower: Lower,
    /// Guest frame numbers that the vmm maps in the shared EPT.
    shared: BTreeSet<u64>,
    /// Pages that became shared, ever.
    shares: u64,
    /// Frames of the tables of the reset state.
    tables: [u32; 2],
}

impl Tdx {
    /// A TD that is not launched yet.
    pub fn new(memory: &Memory) -> Self {
        let npt = Npt::of(memory.size(), 64);
        let bitmaps: &'static Bitmaps = Box::leak(Bitmaps::new());
        let vcpu = Vcpu::new(bitmaps, npt.root());
        let td = Td::new(memory.size() / PAGE as u64);
        Self {
            vcpu,
            others: Processors::default(),
            bitmaps,
            npt,
            td,
            lower: Lower::new(memory.size()),
            shared: BTreeSet::new(),
            shares: 0,
            tables: [0; 2],
        }
    }

    /// TDH.MNG.INIT's parameters: QEMU sets SEPT_VE_DISABLE unless told otherwise.
    fn parameters(&mut self, vmm: &Vmm) {
        let scenario = &vmm.scenario;
        if scenario.profile == HostProfile::Kvm || scenario.sept_ve_disable {
            self.td.attributes |= attributes::SEPT_VE_DISABLE;
        }
        if vmm.tells(lies::DEBUG_POLICY) {
            self.td.attributes |= attributes::DEBUG;
        }
        let l2 = scenario.mode == Mode::TdxParavisor && !vmm.tells(lies::NO_MULTI_VMPL);
        self.td.l2_vms = u64::from(l2);
        self.td.l2 = Vm::new(cr4_bits(vmm));
        self.td.vcpus = scenario.smp;
    }

    /// The vmm can only post external interrupts and NMIs to a TD; the module stops the rest.
    fn inject(&mut self, vmm: &mut Vmm) {
        match vmm.scenario.inject {
            Some(Inject::Nmi) => enter::inject(vmm, &mut self.vcpu),
            _ => post(vmm, &self.vcpu),
        }
    }

    /// While the L2 VM runs, the vmm still reaches L1 only. An NMI waits until L1 runs.
    fn inject_lower(&mut self, vmm: &mut Vmm) {
        if !matches!(vmm.scenario.inject, Some(Inject::Nmi)) {
            post(vmm, &self.lower.vcpu);
        }
    }
}

/// Posts what the scenario injects to L1, at a moment of the context that runs.
fn post(vmm: &mut Vmm, running: &Vcpu) {
    match vmm.injection(running) {
        Some(Inject::Vector(vector @ 32..)) => {
            vmm.tell();
            vmm.vp().apic.request(vector);
        }
        Some(_) => vmm.stopped(),
        None => {}
    }
}

impl Technology for Tdx {
    fn policy(&mut self, _policy: u64) {}

    fn rtmr(&self) -> Option<&[[u8; 48]; 4]> {
        Some(&self.td.rtmr)
    }

    fn add_page(&mut self, memory: &mut Memory, page: &LaunchPage<'_>) -> Result<(), String> {
        let measured = match page.kind {
            PageKind::Normal => true,
            PageKind::Unmeasured => false,
            _ => return Err("TDX has no such page".into()),
        };
        let gfn = page.gpa / PAGE as u64;
        let frame = match memory.frame(gfn) {
            Some(frame) => frame,
            None => memory.spare().ok_or("no frame is left for the image")?,
        };
        memory.map(gfn, Some(frame));
        let bytes = memory.page(frame).ok_or("a frame outside the pool")?;
        bytes.fill(0);
        bytes[..page.content.len()].copy_from_slice(page.content);
        self.td.mrtd.add(page.gpa);
        if measured {
            self.td.mrtd.extend(page.gpa, bytes);
        }
        self.td.sept.add(gfn, frame);
        Ok(())
    }

    fn finish(&mut self, vmm: &mut Vmm, memory: &mut Memory) -> Result<Option<String>, String> {
        self.parameters(vmm);
        FIRMWARE.for_each(|gfn| memory.map(gfn, Some(gfn as u32)));
        self.lie_at_launch(vmm, memory);
        self.tables = state::tables(memory).ok_or("no frame is left for the reset state")?;
        state::reset(&mut self.vcpu, 0);
        self.add_others(memory, vmm.scenario.smp);
        self.withhold(vmm);
        Ok(Some(report::hex(&self.td.mrtd.value())))
    }

    fn step(&mut self, vmm: &mut Vmm, memory: &mut Memory) -> Step {
        self.quotes(vmm, memory, false);
        self.take_turn(vmm);
        vmm.vp().below = self.lower.runs();
        if self.lower.runs() {
            self.inject_lower(vmm);
            return self.step_lower(vmm, memory);
        }
        self.inject(vmm);
        let mut seen = view::Seen {
            sept: &self.td.sept,
            shared: &self.shared,
            memory,
        };
        if let Some(virt) = vmm.trap_page(&self.vcpu) {
            let found = walk::translate(&self.vcpu.vmcb.save, &mut seen, virt);
            found.into_iter().for_each(|at| self.npt.forget(at.gpa));
        }
        if let Err(end) = enter::enter(vmm, &mut self.vcpu, &mut seen, true) {
            return Step::End(end);
        }
        self.exit(vmm, memory)
    }

    fn host_access(&self, memory: &Memory, gpa: u64, _access: Access) -> Option<u32> {
        let gfn = (gpa & !view::SHARED) / PAGE as u64;
        memory.frame(gfn).filter(|_| self.shared.contains(&gfn))
    }

    fn rip(&self) -> u64 {
        match self.lower.runs() {
            true => self.lower.vcpu.vmcb.save.rip,
            false => self.vcpu.vmcb.save.rip,
        }
    }

    fn pages(&self) -> (u64, u64) {
        (self.td.sept.accepted(), self.shares)
    }
}
