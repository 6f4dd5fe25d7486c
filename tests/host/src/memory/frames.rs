//! Host frames and the vmm's map from guest frame numbers to them. No protection here: silicon
//! decides who may touch a frame (`Technology::host_access`, nested tables).

use super::runs::{BLOCK, Follows, Runs};
use alloc::{collections::BTreeMap, vec, vec::Vec};
use core::ops::Range;

/// Bytes of a page.
pub const PAGE: usize = 4096;
const UNMAPPED: u32 = u32::MAX;
/// Frames that real mode can name, without the machine's page 0, which no reference can name.
pub const LOW: Range<u32> = 1..0xA0;
/// Frames beside the guest's memory: VMSA, reset page, and what a lying vmm swaps in.
pub const SPARE_FRAMES: usize = 64;
/// Guest frame numbers from 3 to 4 GiB: a PC's devices, never memory.
const HOLE: Range<u64> = 0xC_0000..0x10_0000;
/// Why a run ends where the pool is used up.
pub const EXHAUSTED: &str = "the guest uses more memory than the test host's machine has for it: \
     give the machine more (QEMU's -m, of which the host uses 2 GiB), or the guest less to do";

impl Follows for u32 {
    fn after(self, pages: u64) -> Self {
        match self {
            UNMAPPED => UNMAPPED,
            frame => frame + pages as u32,
        }
    }
}

/// The frames and the map. Frame numbers go on from guest frame numbers to the spares. The pool holds all
/// of them or, where it is too small, each from when it is touched, and by 2 MiB what the guest gets so.
#[derive(Debug)]
pub struct Memory {
    bytes: &'static mut [u8],
    /// Frames of `LOW` that stand at their own numbers in the machine below.
    low: &'static mut [u8],
    ram: Runs<u32>,
    outside: Vec<(u64, u32)>,
    spare: u32,
    /// The block of the pool that holds a block of frames.
    blocks: Vec<u32>,
    /// The page of the pool that holds a frame whose block is not held.
    pages: BTreeMap<u32, u32>,
    /// Pages of the pool that wait for such a frame.
    loose: Range<u32>,
    /// Blocks of the pool that are in use.
    used: usize,
    exhausted: bool,
}

impl Memory {
    /// RAM is `ranges(memory)`; frame = guest frame number. `bytes`, page aligned and zeros, is the pool:
    /// what `pool(memory)` says or, where the guest will not touch everything, less.
    pub fn new(bytes: &'static mut [u8], memory: u64) -> Self {
        let count = top(memory);
        let mut ram = Runs::new(count, |gfn| match HOLE.contains(&gfn) {
            true => UNMAPPED,
            false => gfn as u32,
        });
        (0..0x100).filter(|gfn| !is_ram(*gfn)).for_each(|gfn| {
            ram.set(gfn, UNMAPPED);
        });
        let blocks = (count as usize + SPARE_FRAMES).div_ceil(BLOCK as usize);
        let (blocks, used) = match bytes.len() as u64 >= pool(memory) {
            true => ((0..blocks as u32).collect(), blocks),
            false => (vec![UNMAPPED; blocks], 0),
        };
        Self {
            bytes,
            low: &mut [],
            ram,
            outside: Vec::with_capacity(64),
            spare: count as u32,
            blocks,
            pages: BTreeMap::new(),
            loose: 0..0,
            used,
            exhausted: false,
        }
    }

    /// Gives the frames of `LOW` the machine's own memory at their addresses: `low` starts at
    /// `LOW.start * PAGE` there. QEMU 7.2 uses no nested tables while a guest's paging is off, so
    /// that real mode meets the guest's memory only where both addresses are one.
    pub fn with_low(mut self, low: &'static mut [u8]) -> Self {
        self.low = low;
        self
    }

    /// The end of the guest's RAM, its holes included.
    pub fn size(&self) -> u64 {
        self.ram.pages() * PAGE as u64
    }

    /// Frames there are.
    pub fn frames(&self) -> u64 {
        self.ram.pages() + SPARE_FRAMES as u64
    }

    /// The frame behind a guest frame number.
    pub fn frame(&self, gfn: u64) -> Option<u32> {
        let inside = self.ram.get(gfn);
        let outside = || {
            self.outside
                .iter()
                .find(|(at, _)| *at == gfn)
                .map(|(_, frame)| *frame)
        };
        inside.or_else(outside).filter(|frame| *frame != UNMAPPED)
    }

    /// The first of 512 frames that follow each other where `gfn`'s 2 MiB are mapped so, and are a
    /// block of frames.
    pub fn run(&self, gfn: u64) -> Option<u32> {
        let aligned = |frame: &u32| *frame != UNMAPPED && u64::from(*frame).is_multiple_of(BLOCK);
        self.ram.run(gfn).filter(aligned)
    }

    /// `run`, where one page of 2 MiB of the host's can hold it.
    pub fn block(&self, gfn: u64) -> Option<u32> {
        let aligned = (self.bytes.as_ptr() as u64).is_multiple_of(2 << 20);
        self.run(gfn)
            .filter(|first| aligned && self.singles(*first).next().is_none())
    }

    /// Frames of a block that the pool holds one by one.
    fn singles(&self, first: u32) -> impl Iterator<Item = u32> {
        let range = self.pages.range(first..first + BLOCK as u32);
        range.map(|(frame, _)| *frame)
    }

    /// Withholds the pages from `first` on.
    pub fn withhold(&mut self, first: u64) {
        let mut gfn = first;
        while gfn < self.ram.pages() {
            let block = gfn.is_multiple_of(BLOCK) && self.ram.set_run(gfn, UNMAPPED);
            if !block {
                self.map(gfn, None);
            }
            gfn += if block { BLOCK } else { 1 };
        }
    }

    /// Changes the map: `None` withholds the page.
    pub fn map(&mut self, gfn: u64, frame: Option<u32>) {
        let frame = frame.unwrap_or(UNMAPPED);
        if self.ram.set(gfn, frame) {
            return;
        }
        match self.outside.iter_mut().find(|(at, _)| *at == gfn) {
            Some(slot) => slot.1 = frame,
            None => self.outside.push((gfn, frame)),
        }
    }

    /// A frame that nothing uses yet.
    pub fn spare(&mut self) -> Option<u32> {
        let frame = self.spare;
        (u64::from(frame) < self.frames()).then(|| {
            self.spare += 1;
            frame
        })
    }

    /// The bytes of a frame; none for a number that is no frame's, or where the pool is used up.
    pub fn page(&mut self, frame: u32) -> Option<&mut [u8; PAGE]> {
        if let Some(start) = self.below(frame) {
            return self.low.get_mut(start..start + PAGE)?.try_into().ok();
        }
        let start = self.place(frame)?;
        self.bytes.get_mut(start..start + PAGE)?.try_into().ok()
    }

    /// Host-physical address of a frame. Where the pool is used up (`exhausted`) it is any page's: the run
    /// ends before the guest goes on.
    pub fn address(&mut self, frame: u32) -> u64 {
        if self.below(frame).is_some() {
            return u64::from(frame) * PAGE as u64;
        }
        self.bytes.as_ptr() as u64 + self.place(frame).unwrap_or(0) as u64
    }

    /// The same of a block that `block` gave, from now on held as one.
    pub fn block_address(&mut self, first: u32) -> u64 {
        let block = first as usize / BLOCK as usize;
        if self.blocks.get(block) == Some(&UNMAPPED)
            && let Some(place) = self.take_block()
        {
            self.blocks[block] = place;
        }
        self.address(first)
    }

    /// A frame was wanted for which the pool has no room.
    pub fn exhausted(&self) -> bool {
        self.exhausted
    }

    /// Fills a frame with zeros.
    pub fn clear(&mut self, frame: u32) {
        if self.touched(frame)
            && let Some(page) = self.page(frame)
        {
            page.fill(0);
        }
    }

    /// Fills a block of frames, which `run` gave, with zeros.
    pub fn clear_block(&mut self, first: u32) {
        match self.blocks.get(first as usize / BLOCK as usize) {
            Some(&UNMAPPED) => {
                let singles: Vec<_> = self.singles(first).collect();
                singles.into_iter().for_each(|frame| self.clear(frame));
            }
            _ => (first..first + BLOCK as u32).for_each(|frame| self.clear(frame)),
        }
    }

    /// Whether the pool holds a frame: one that it does not hold is zeros.
    pub fn touched(&self, frame: u32) -> bool {
        let held = |block: &u32| *block != UNMAPPED;
        let block = self.blocks.get(frame as usize / BLOCK as usize);
        self.below(frame).is_some() || block.is_some_and(held) || self.pages.contains_key(&frame)
    }

    /// Where in the pool a frame stands; from now on, if it did not.
    fn place(&mut self, frame: u32) -> Option<usize> {
        let inside = frame as usize % BLOCK as usize;
        let page = match *self.blocks.get(frame as usize / BLOCK as usize)? {
            UNMAPPED => self.single(frame)?,
            block => block as usize * BLOCK as usize + inside,
        };
        Some(page * PAGE)
    }

    fn single(&mut self, frame: u32) -> Option<usize> {
        if let Some(page) = self.pages.get(&frame) {
            return Some(*page as usize);
        }
        if self.loose.is_empty() {
            let first = self.take_block()? * BLOCK as u32;
            self.loose = first..first + BLOCK as u32;
        }
        let page = self.loose.next()?;
        self.pages.insert(frame, page);
        Some(page as usize)
    }

    /// A block of the pool that nothing uses.
    fn take_block(&mut self) -> Option<u32> {
        if (self.used + 1) * BLOCK as usize * PAGE > self.bytes.len() {
            self.exhausted = true;
            return None;
        }
        self.used += 1;
        Some(self.used as u32 - 1)
    }

    /// Where in `low` a frame stands, if it does.
    fn below(&self, frame: u32) -> Option<usize> {
        let index = frame.checked_sub(LOW.start)? as usize;
        (LOW.contains(&frame) && !self.low.is_empty()).then_some(index * PAGE)
    }

    /// The little-endian u64 at `offset` of a frame, `offset` aligned to 8.
    pub fn read_u64(&mut self, frame: u32, offset: usize) -> Option<u64> {
        let bytes = self.page(frame)?.get(offset..offset + 8)?;
        Some(u64::from_le_bytes(bytes.try_into().ok()?))
    }
}

/// Whether a guest frame number below the end of memory is RAM.
pub fn is_ram(gfn: u64) -> bool {
    !(0xA0..0x100).contains(&gfn) && !HOLE.contains(&gfn)
}

/// RAM of a guest of `memory` bytes, as (first page, pages): what does not fit below 3 GiB goes on at 4.
pub fn ranges(memory: u64) -> Vec<(u64, u64)> {
    let end = top(memory);
    let mut ranges = Vec::from([(0, 0xA0), (0x100, end.min(HOLE.start) - 0x100)]);
    if end > HOLE.end {
        ranges.push((HOLE.end, end - HOLE.end));
    }
    ranges
}

/// Bytes of a pool that holds everything that a guest of `memory` bytes has.
pub fn pool(memory: u64) -> u64 {
    (top(memory) + SPARE_FRAMES as u64) * PAGE as u64
}

/// The guest frame number behind the last page of RAM.
fn top(memory: u64) -> u64 {
    let pages = memory / PAGE as u64;
    match pages > HOLE.start {
        true => pages + HOLE.end - HOLE.start,
        false => pages,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const GIB: u64 = 1 << 30;

    fn sparse(memory: u64, blocks: usize) -> Memory {
        Memory::new(std::vec![0; blocks << 21].leak(), memory)
    }

    #[test]
    fn memory_has_a_hole_below_4_gib() {
        assert_eq!(ranges(3 * GIB), [(0, 0xA0), (0x100, 0xC_0000 - 0x100)]);
        assert_eq!(ranges(64 * GIB)[2], (0x10_0000, 61 << 18));
        let memory = sparse(64 * GIB, 2);
        assert_eq!(memory.size(), 65 * GIB);
        assert_eq!(memory.frame(0xB_FFFF), Some(0xB_FFFF));
        assert_eq!(memory.frame(0xC_0000), None);
        assert_eq!(memory.run(0xF_FE00), None);
        assert_eq!(memory.run(0x10_0000), Some(0x10_0000));
        assert_eq!(memory.run((65 << 18) - 1), Some((65 << 18) - 512));
        assert_eq!(memory.frame(65 << 18), None);
    }

    #[test]
    fn frames_are_held_from_the_first_touch_until_there_is_no_room() {
        let mut memory = sparse(64 * GIB, 3);
        let at = (60 << 18) + 3;
        memory.clear(at);
        assert!(!memory.touched(at), "what nobody touched is zeros already");
        memory.page(at).unwrap()[7] = 1;
        assert!(memory.touched(at) && !memory.touched(at + 1));
        assert_ne!(memory.address(at), memory.address(5));
        assert_eq!(memory.page(at).unwrap()[7], 1);
        // Two blocks more, and 510 pages of the one that single frames stand in.
        let first = memory.block_address(0x400);
        assert_eq!(memory.address(0x403), first + 3 * PAGE as u64);
        memory.block_address(0x600);
        (0..510).for_each(|n| assert!(memory.page(0x10_0000 + n * 512).is_some()));
        assert!(!memory.exhausted());
        assert!(memory.page(0x2000).is_none() && memory.exhausted());
        assert_eq!(memory.page(at).unwrap()[7], 1);
        memory.clear_block(at & !511);
        assert_eq!(memory.page(at).unwrap()[7], 0);
    }

    #[test]
    fn a_block_of_which_a_frame_is_held_alone_is_no_block() {
        let bytes: &'static mut [u8] = std::vec![0; 4 << 21].leak();
        let start = bytes.as_ptr().align_offset(2 << 20);
        let mut memory = Memory::new(&mut bytes[start..], 64 * GIB);
        assert_eq!(memory.block(0x12_3456), Some(0x12_3400));
        memory.address(0x12_3456);
        assert_eq!(memory.block(0x12_3400), None);
        assert_eq!(memory.run(0x12_3400), Some(0x12_3400));
        memory.block_address(0x400);
        memory.page(0x401).unwrap()[0] = 1;
        assert_eq!(memory.block(0x5FF), Some(0x400), "it is held whole");
        memory.clear_block(0x400);
        assert_eq!(memory.page(0x401).unwrap()[0], 0);
    }

    #[test]
    fn pages_that_are_withheld_are_no_ones() {
        let mut memory = sparse(8 * GIB, 1);
        memory.withhold(0x403);
        assert_eq!(memory.frame(0x402), Some(0x402));
        for gfn in [0x403, 0x5FF, 0x600, (9 << 18) - 1] {
            assert_eq!(memory.frame(gfn), None, "{gfn:#x}");
        }
    }
}
