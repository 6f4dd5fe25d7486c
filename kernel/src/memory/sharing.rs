//! What the host sees: frames that are shared with it, and its device memory.

use super::{Memory, PAGE, RESERVE, with};
use crate::{host, processors, windows};
use tessera_defs::refusal::Refusal;
use tessera_handoff::layout::{DIRECT_MAP, SHARED_MAP};
use tessera_hw::instr;
use tessera_isolation::strategy::traits::Pages;
use tessera_objects::frames::{Frame, SharedFrame};
use tessera_objects::tables::{Access, Mapping};

/// Makes a frame visible to the host and maps it shared; it is zero before the host sees it.
/// In between it is mapped nowhere.
pub fn share(frame: Frame) -> Result<SharedFrame, Refusal> {
    let gpa = frame.address();
    let virt = DIRECT_MAP + gpa;
    log::trace!("memory: shares {gpa:#x}");
    windows::zero_page(gpa);
    host::visibility(|strategy| {
        strategy.rescind(Pages {
            gpa,
            virt,
            count: 1,
        })
    })?;
    with(|memory| {
        memory.top_up(RESERVE * 2);
        let Memory { tables, pool, .. } = &mut *memory;
        tables
            .split(pool, virt)
            .map_err(|_| Refusal::MemoryTooSmall)?;
        tables
            .unmap(pool, virt)
            .map_err(|_| Refusal::VisibilityLied)?;
        instr::invlpg(virt);
        processors::flush_all();
        host::visibility(|strategy| strategy.share(Pages::unmapped(gpa)))?;
        memory.map(SHARED_MAP + gpa, gpa, Mapping::SHARED)?;
        memory.shared += 1;
        Ok(SharedFrame::from_private(frame))
    })
}

/// Takes a shared frame back; its content is the host's until it is zeroed here.
pub fn unshare(shared: SharedFrame) -> Result<Frame, Refusal> {
    let gpa = shared.address();
    let virt = DIRECT_MAP + gpa;
    log::trace!("memory: takes {gpa:#x} back");
    with(|memory| {
        let Memory { tables, pool, .. } = memory;
        tables
            .unmap(pool, SHARED_MAP + gpa)
            .map_err(|_| Refusal::VisibilityLied)?;
        instr::invlpg(SHARED_MAP + gpa);
        processors::flush_all();
        host::visibility(|strategy| strategy.unshare(Pages::unmapped(gpa)))?;
        memory.map(virt, gpa, Mapping::kernel(Access::Write))?;
        memory.shared -= 1;
        Ok(())
    })?;
    host::visibility(|strategy| {
        strategy.accept_again(Pages {
            gpa,
            virt,
            count: 1,
        })
    })?;
    windows::zero_page(gpa);
    Ok(shared.into_private())
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
