//! What the host sees: frames that are shared with it, and its device memory.

use super::{Memory, PAGE, RESERVE, with};
use crate::{host, processors, windows};
use tessera_defs::refusal::Refusal;
use tessera_handoff::layout::{DIRECT_MAP, SHARED_MAP};
use tessera_hw::instr;
use tessera_isolation::strategy::traits::Pages;
use tessera_objects::frames::{Frame, SharedFrame};
use tessera_objects::tables::{Access, Mapping};

/// Makes a frame visible to the host and maps it for the kernel; it is zero before the host sees it.
pub fn share(frame: Frame) -> Result<SharedFrame, Refusal> {
    with(|memory| {
        let shared = memory.give_up(frame)?;
        let gpa = shared.address();
        memory.map(SHARED_MAP + gpa, gpa, Mapping::SHARED)?;
        Ok(shared)
    })
}

/// Takes back what `share` gave; its content is the host's until it is zeroed here.
pub fn unshare(shared: SharedFrame) -> Result<Frame, Refusal> {
    let virt = SHARED_MAP + shared.address();
    with(|memory| {
        let Memory { tables, pool, .. } = &mut *memory;
        tables
            .unmap(pool, virt)
            .map_err(|_| Refusal::VisibilityLied)?;
        instr::invlpg(virt);
        processors::flush_all();
        memory.take_back(shared)
    })
}

impl Memory {
    /// Makes a frame visible to the host, zeroed before. It is mapped nowhere then; before that, in
    /// private. Errors: `MemoryTooSmall`, and nothing changed; a host that does not do it.
    pub fn give_up(&mut self, frame: Frame) -> Result<SharedFrame, Refusal> {
        let gpa = frame.address();
        let virt = DIRECT_MAP + gpa;
        log::trace!("memory: shares {gpa:#x}");
        self.top_up(RESERVE * 2);
        let Memory {
            frames,
            tables,
            pool,
            ..
        } = &mut *self;
        if tables.split(pool, virt).is_err() {
            frames.free(pool, frame);
            return Err(Refusal::MemoryTooSmall);
        }
        windows::zero_page(gpa);
        host::visibility(|strategy| strategy.rescind(at(gpa)))?;
        tables
            .unmap(pool, virt)
            .map_err(|_| Refusal::VisibilityLied)?;
        instr::invlpg(virt);
        processors::flush_all();
        host::visibility(|strategy| strategy.share(Pages::unmapped(gpa)))?;
        self.shared += 1;
        Ok(SharedFrame::from_private(frame))
    }

    /// Takes a shared frame back that is mapped nowhere any more, and zeroes it. The table of its place in
    /// the direct map is still there. Errors: a host that does not do it.
    pub fn take_back(&mut self, shared: SharedFrame) -> Result<Frame, Refusal> {
        let gpa = shared.address();
        log::trace!("memory: takes {gpa:#x} back");
        host::visibility(|strategy| strategy.unshare(Pages::unmapped(gpa)))?;
        self.map(DIRECT_MAP + gpa, gpa, Mapping::kernel(Access::Write))?;
        host::visibility(|strategy| strategy.accept_again(at(gpa)))?;
        windows::zero_page(gpa);
        self.shared -= 1;
        Ok(shared.into_private())
    }

    /// A zeroed frame that the host sees, for somebody who keeps its address. `None` when there are no more;
    /// a host that does not do it ends the guest.
    #[cold]
    #[inline(never)]
    pub fn shared_frame(&mut self) -> Option<u64> {
        let frame = self.dirty_frame()?;
        match self.give_up(frame) {
            Ok(shared) => Some(shared.keep()),
            Err(Refusal::MemoryTooSmall) => None,
            Err(refusal) => host::refuse(refusal),
        }
    }

    /// Takes back the frame that `shared_frame` gave and that nobody has mapped. False for one that nobody has.
    #[cold]
    pub fn free_shared(&mut self, address: u64) -> bool {
        let Some(frame) = self.frames.retake(&self.pool, address) else {
            return false;
        };
        match self.take_back(SharedFrame::from_private(frame)) {
            Ok(frame) => self.frames.free(&mut self.pool, frame),
            Err(refusal) => host::refuse(refusal),
        }
        true
    }
}

/// A page in the direct map.
fn at(gpa: u64) -> Pages {
    Pages {
        gpa,
        virt: DIRECT_MAP + gpa,
        count: 1,
    }
}

/// Maps host-provided or device memory for reading or for a device, shared, for good.
pub fn map_claim(gpa: u64, len: u64) -> Option<u64> {
    map_registers(gpa, len, Mapping::SHARED)
}

/// The same, where a device of a paravisor's stands in private memory.
pub fn map_registers(gpa: u64, len: u64, how: Mapping) -> Option<u64> {
    let (first, last) = (
        gpa & !(PAGE - 1),
        (gpa.checked_add(len)?).checked_sub(1)? & !(PAGE - 1),
    );
    with(|memory| {
        for page in (first..=last).step_by(PAGE as usize) {
            let Memory { tables, pool, .. } = &*memory;
            if tables.translate(pool, SHARED_MAP + page).is_none() {
                memory.map(SHARED_MAP + page, page, how).ok()?;
            }
        }
        Some(SHARED_MAP + gpa)
    })
}
