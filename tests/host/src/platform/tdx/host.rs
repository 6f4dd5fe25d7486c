//! What the vmm does with the TD's pages: augment on demand, share by MapGPA, and lie.

use super::Tdx;
use crate::{
    memory::frames::{Memory, PAGE, is_ram},
    platform::{Step, Technology},
    report::End,
    silicon::tdx::{accept::LARGE, view::SHARED},
    vmm::{Vmm, lies, parameters::FIRMWARE},
};
use tessera_defs::{breach, tdx::vmcall};
use tessera_handoff::layout::{BUNDLE_BASE, IMAGE_END, KERNEL_VIRT};

/// The first page of ordinary memory.
const TARGET: u64 = IMAGE_END / PAGE as u64;

impl Tdx {
    /// TDH.MEM.PAGE.AUG, of 2 MiB where the TD asks for it. A page that the vmm maps in the shared EPT is not
    /// the TD's: either the TD did not ask for it, or the vmm lied when it did.
    pub(super) fn augment(
        &mut self,
        vmm: &mut Vmm,
        memory: &mut Memory,
        gfn: u64,
        large: bool,
    ) -> Step {
        let backed = is_ram(gfn) || FIRMWARE.contains(&gfn);
        if gfn * PAGE as u64 >= memory.size() || !backed {
            return Step::End(End::Breach(&breach::OUT_OF_RANGE));
        }
        if self.shared.contains(&gfn) {
            return Step::End(match vmm.took_pages() {
                true => End::Denied(vmm.scenario.lie),
                false => End::Breach(&breach::SHARED_AS_PRIVATE),
            });
        }
        let large = large && !vmm.tells(lies::SIZE_MISMATCH) && self.backed(memory, gfn);
        if large
            && let Some(frame) = memory.run(gfn)
            && self.td.sept.augment_block(gfn, frame)
        {
            return Step::Continue;
        }
        let count = if large { LARGE } else { 1 };
        for gfn in gfn..gfn + count {
            let Some(frame) = memory.frame(gfn) else {
                vmm.tells(lies::PAGE_WITHHELD);
                return Step::End(End::Denied(lies::PAGE_WITHHELD));
            };
            self.td.sept.augment(gfn, frame, large);
        }
        Step::Continue
    }

    /// The vmm has all frames of the 2 MiB from `first` on, and none is shared.
    pub(super) fn backed(&self, memory: &Memory, first: u64) -> bool {
        let all = || (first..first + LARGE).all(|gfn| memory.frame(gfn).is_some());
        let mut shared = self.shared.range(first..first + LARGE);
        shared.next().is_none() && (memory.run(first).is_some() || all())
    }

    /// MapGPA (GHCI 3.2): status and where to go on.
    pub(super) fn map_gpa(
        &mut self,
        vmm: &mut Vmm,
        memory: &mut Memory,
        gpa: u64,
        len: u64,
    ) -> (u64, u64) {
        vmm.note("map-gpa");
        let (start, shared) = (gpa & !SHARED, gpa & SHARED != 0);
        let page = PAGE as u64;
        if !(start | len).is_multiple_of(page) || len == 0 {
            vmm.offence = Some(&breach::MAP_GPA_INPUT);
            return (vmcall::ALIGN_ERROR, gpa);
        }
        let frames = start / page..start.saturating_add(len) / page;
        if frames.end > memory.size() / page || !frames.clone().all(is_ram) {
            vmm.offence = Some(&breach::MAP_GPA_INPUT);
            return (vmcall::INVALID_OPERAND, gpa);
        }
        match vmm.scenario.lie {
            lies::VISIBILITY_REFUSED => {
                vmm.tell();
                return (vmcall::INVALID_OPERAND, gpa);
            }
            lies::PSC_HALF => {
                vmm.tell();
                return (vmcall::RETRY, gpa);
            }
            lies::PSC_LIES => {
                vmm.tell();
                return (vmcall::SUCCESS, 0);
            }
            _ => {}
        }
        frames.for_each(|gfn| self.convert(memory, gfn, shared));
        (vmcall::SUCCESS, 0)
    }

    /// The hypercall's way to the same: how many frames were changed before one was refused.
    pub(super) fn change_visibility(
        &mut self,
        vmm: &mut Vmm,
        memory: &mut Memory,
        frames: &[u64],
        shared: bool,
    ) -> usize {
        vmm.note("visibility");
        if vmm.tells(lies::VISIBILITY_REFUSED) {
            return 0;
        }
        let pages = memory.size() / PAGE as u64;
        let ram = |gfn: &&u64| **gfn < pages && is_ram(**gfn);
        let changed = frames.iter().take_while(ram);
        changed
            .map(|gfn| self.convert(memory, *gfn, shared))
            .count()
    }

    /// The private page goes; the host never sees what stood there.
    fn convert(&mut self, memory: &mut Memory, gfn: u64, shared: bool) {
        let changed = if shared {
            self.shared.insert(gfn)
        } else {
            self.shared.remove(&gfn)
        };
        if !changed {
            return;
        }
        self.shares += u64::from(shared);
        self.drop_page(gfn);
        if let Some(frame) = memory.frame(gfn) {
            memory.clear(frame);
        }
    }

    fn drop_page(&mut self, gfn: u64) {
        self.td.sept.remove(gfn);
        let gpa = gfn * PAGE as u64;
        for alias in [gpa, gpa | SHARED] {
            self.npt.forget(alias);
            self.lower_tables().for_each(|npt| npt.forget(alias));
        }
    }

    /// Lies that concern memory from the start.
    pub(super) fn lie_at_launch(&mut self, vmm: &mut Vmm, memory: &mut Memory) {
        match vmm.scenario.lie {
            lies::PAGE_WITHHELD => memory.withhold(TARGET),
            // The only way to give a TD accepted pages is to add them, which MRTD shows.
            lies::DOUBLE_VALIDATE => {
                vmm.tell();
                for gfn in TARGET..TARGET + LARGE {
                    if let Some(frame) = memory.frame(gfn) {
                        self.td.mrtd.add(gfn * PAGE as u64);
                        self.td.sept.add(gfn, frame);
                    }
                }
            }
            _ => {}
        }
    }

    /// Page attacks, once, when the kernel has begun to speak: on the first pages of the
    /// bundle, which it still has to read. A page that is replaced is pending again.
    pub(super) fn attack(&mut self, vmm: &mut Vmm, memory: &mut Memory) {
        let gfn = BUNDLE_BASE / PAGE as u64;
        if vmm.told() || self.rip() < KERNEL_VIRT {
            return;
        }
        let frames = match vmm.scenario.lie {
            lies::PAGE_REMAPPED => [memory.spare(), None],
            lies::PAGE_SWAPPED => [memory.frame(gfn + 1), memory.frame(gfn)],
            _ => return,
        };
        vmm.tell();
        for (gfn, frame) in [gfn, gfn + 1].into_iter().zip(frames) {
            if let Some(frame) = frame {
                self.drop_page(gfn);
                memory.map(gfn, Some(frame));
                self.td.sept.augment(gfn, frame, false);
            }
        }
    }
}
