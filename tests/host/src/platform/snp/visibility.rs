//! How the vmm changes pages: RMPUPDATE on the guest's behalf, and behind its back.

use super::Snp;
use crate::{
    memory::{
        frames::{Memory, PAGE},
        runs::BLOCK,
    },
    report::End,
    vmm::{Vmm, lies},
};
use tessera_defs::breach;
use tessera_handoff::layout;

impl Snp {
    /// Changes one page (or 512). `false`: refused.
    pub(super) fn change(
        &mut self,
        vmm: &mut Vmm,
        memory: &mut Memory,
        gfn: u64,
        large: bool,
        shared: bool,
    ) -> bool {
        match vmm.scenario.lie {
            lies::VISIBILITY_REFUSED => {
                vmm.tell();
                return false;
            }
            lies::PSC_LIES => {
                vmm.tell();
                return true;
            }
            _ => {}
        }
        let count = if large { 512 } else { 1 };
        let as_large = large && !vmm.scenario.lies(lies::SIZE_MISMATCH);
        if large && !shared && self.give_block(memory, gfn, as_large) {
            return true;
        }
        (gfn..gfn + count).all(|gfn| self.change_one(vmm, memory, gfn, as_large, shared))
    }

    fn change_one(
        &mut self,
        vmm: &mut Vmm,
        memory: &mut Memory,
        gfn: u64,
        large: bool,
        shared: bool,
    ) -> bool {
        let Some(frame) = memory.frame(gfn) else {
            // The promise of memory that is withheld goes on.
            return vmm.tells(lies::PAGE_WITHHELD);
        };
        let entry = self.rmp.get(frame);
        if shared != entry.assigned {
            return true;
        }
        if shared {
            if entry.vmsa && self.in_use(vmm, frame) {
                vmm.end = Some(End::Breach(&breach::VMSA_IN_USE));
                return false;
            }
            if entry.large {
                self.rmp.smash(frame);
            }
            let page = memory.touched(frame).then(|| memory.page(frame)).flatten();
            if page.is_some_and(|page| page.iter().any(|byte| *byte != 0)) {
                vmm.end = Some(End::Breach(&breach::PRIVATE_DATA_SHARED));
            }
            self.rmp.update(frame, None, false);
            self.shared += 1;
            self.exposed.push(frame);
        } else {
            self.rmp.update(frame, Some(gfn), large);
        }
        self.forget(gfn);
        true
    }

    /// RMPUPDATE of the block that begins at `gfn`, where all of it is the host's and follows each other;
    /// `false` where each page must be looked at.
    pub(super) fn give_block(&mut self, memory: &Memory, gfn: u64, large: bool) -> bool {
        let frame = memory.run(gfn).filter(|_| gfn.is_multiple_of(BLOCK));
        let done = frame.is_some_and(|frame| self.rmp.assign_block(frame, gfn, large));
        if done {
            self.forget_block(gfn);
        }
        done
    }

    /// Drops a block of 2 MiB from every nested table.
    pub(super) fn forget_block(&mut self, gfn: u64) {
        let all = self.others.others().chain([&mut self.vp]);
        for context in all.flat_map(|vp| vp.contexts.iter_mut().flatten()) {
            for alias in context.view.aliases(gfn * PAGE as u64) {
                context.npt.forget_block(alias);
            }
        }
    }

    /// Drops a page from every nested table.
    pub(super) fn forget(&mut self, gfn: u64) {
        let all = self.others.others().chain([&mut self.vp]);
        for context in all.flat_map(|vp| vp.contexts.iter_mut().flatten()) {
            for alias in context.view.aliases(gfn * PAGE as u64) {
                context.npt.forget(alias);
            }
        }
    }

    /// Page attacks, once, when the kernel has begun to speak: on the first pages of the
    /// bundle, which it still has to read. With a paravisor that kernel is in VMPL 2.
    pub(super) fn attack(&mut self, vmm: &mut Vmm, memory: &mut Memory) {
        let gfn = layout::BUNDLE_BASE / PAGE as u64;
        let kernel = if vmm.scenario.paravisor() { 2 } else { 0 };
        let kernel = self.vp.contexts[kernel].as_ref();
        let speaks = kernel.is_some_and(|c| c.vcpu.vmcb.save.rip >= layout::KERNEL_VIRT);
        if vmm.told() || !speaks {
            return;
        }
        let frames = match vmm.scenario.lie {
            lies::PAGE_REMAPPED => [memory.spare(), memory.frame(gfn + 1)],
            lies::PAGE_SWAPPED => [memory.frame(gfn + 1), memory.frame(gfn)],
            _ => return,
        };
        vmm.tell();
        for (gfn, frame) in [gfn, gfn + 1].into_iter().zip(frames) {
            let Some(frame) = frame else { continue };
            if memory.frame(gfn) != Some(frame) {
                memory.map(gfn, Some(frame));
                self.rmp.update(frame, Some(gfn), false);
                self.forget(gfn);
            }
        }
    }

    /// Whether VMPCK 0 or 1 can be read in memory that the guest shares.
    pub(super) fn leaked(&self, memory: &mut Memory) -> bool {
        let shared = |frame: &&u32| !self.rmp.get(**frame).assigned;
        let mut frames = self.exposed.iter().filter(shared);
        frames.any(|frame| self.shows_keys(memory, *frame))
    }

    /// Whether VMPCK 0 or 1 stands in a frame, where a key can stand: at multiples of 8.
    pub(super) fn shows_keys(&self, memory: &mut Memory, frame: u32) -> bool {
        let page = memory.page(frame);
        page.is_some_and(|page| {
            let mut places = (0..=PAGE - 32).step_by(8).map(|at| &page[at..at + 32]);
            places.any(|place| self.keys.iter().any(|key| place == key))
        })
    }
}
