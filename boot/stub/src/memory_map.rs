//! The memory map is a claim. It is believed only if it makes sense and covers the image.

use crate::memory;
use crate::pvh::StartInfo;
use bootloader_api::info::{MemoryRegion, MemoryRegionKind};
use tessera_defs::refusal::Refusal;
use tessera_handoff::layout::{
    HANDOFF_DATA, IMAGE_END, IMAGE_START, PARAM_MEMORY_MAP, REGION_FIRMWARE,
};
use tessera_handoff::memory_map::{self, Range};

/// Regions that fit in the hand-over page.
const MAX_REGIONS: usize = 128;
const IGVM_ENTRY: usize = 24;
const IGVM_MEMORY: u16 = 0;
const NOTHING: Range = Range {
    start: 0,
    len: 0,
    ram: false,
};

/// Regions for BootInfo: usable RAM without the image, the image as `Bootloader`, memory behind a
/// PC's ROMs as `layout::REGION_FIRMWARE`.
/// Errors: `MemoryMapInvalid`, `MemoryMapOverlapsImage`, `MemoryTooSmall`.
pub fn regions(pvh: Option<&StartInfo>) -> Result<&'static mut [MemoryRegion], Refusal> {
    let mut ranges = [NOTHING; MAX_REGIONS];
    let count = match pvh {
        Some(info) => collect(info.ranges(), &mut ranges)?,
        None => collect(igvm_ranges(), &mut ranges)?,
    };
    let ranges = &ranges[..count];
    memory_map::check(ranges)?;
    let empty = MemoryRegion {
        start: 0,
        end: 0,
        kind: MemoryRegionKind::Bootloader,
    };
    let mut found = [empty; MAX_REGIONS + 2];
    let mut len = 0;
    let mut add = |start, end, kind| {
        if start < end && len < found.len() {
            found[len] = MemoryRegion { start, end, kind };
            len += 1;
        }
    };
    for range in ranges.iter().filter(|range| range.ram) {
        let end = range.start + range.len;
        add(range.start, end.min(IMAGE_START), MemoryRegionKind::Usable);
        add(range.start.max(IMAGE_END), end, MemoryRegionKind::Usable);
    }
    add(IMAGE_START, IMAGE_END, MemoryRegionKind::Bootloader);
    if pvh.is_none() {
        let kind = MemoryRegionKind::UnknownBios(REGION_FIRMWARE);
        firmware().for_each(|(start, end)| add(start, end, kind));
    }
    Ok(memory::place(HANDOFF_DATA, len, |n| found[n]))
}

/// Pages below 1 MiB that the host reserves: a PC's ROMs, which a TD finds as private memory.
pub fn firmware() -> impl Iterator<Item = (u64, u64)> {
    let low = |range: &Range| !range.ram && range.len <= 1 << 20 && range.start < 1 << 20;
    let whole = |range: Range| (range.start, (range.start + range.len).min(1 << 20));
    igvm_ranges().filter(low).map(whole)
}

fn collect(
    from: impl Iterator<Item = Range>,
    into: &mut [Range; MAX_REGIONS],
) -> Result<usize, Refusal> {
    let mut count = 0;
    for range in from {
        *into.get_mut(count).ok_or(Refusal::MemoryMapInvalid)? = range.whole_pages()?;
        count += 1;
    }
    Ok(count)
}

/// The IGVM memory map (entries of 24 bytes up to the first with no pages).
fn igvm_ranges() -> impl Iterator<Item = Range> {
    let page = memory::bytes(PARAM_MEMORY_MAP, 4096);
    let entries = page.chunks_exact(IGVM_ENTRY).map(|entry| {
        let number = |at| u64::from_le_bytes(core::array::from_fn(|n| entry[at + n]));
        let kind = u16::from_le_bytes([entry[16], entry[17]]);
        let shift = |pages: u64| pages.saturating_mul(4096);
        Range {
            start: shift(number(0)),
            len: shift(number(8)),
            ram: kind == IGVM_MEMORY,
        }
    });
    entries.take_while(|range| range.len != 0)
}
