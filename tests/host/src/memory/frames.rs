//! Host frames and the vmm's map from guest frame numbers to them. No protection here: silicon
//! decides who may touch a frame (`Technology::host_access`, nested tables).

use alloc::{vec, vec::Vec};

/// Bytes of a page.
pub const PAGE: usize = 4096;
const UNMAPPED: u32 = u32::MAX;
/// Frames that real mode can name, without the machine's page 0, which no reference can name.
pub const LOW: core::ops::Range<u32> = 1..0xA0;
/// Frames beside the guest's memory: VMSA, reset page, and what a lying vmm swaps in.
pub const SPARE_FRAMES: usize = 64;

/// The pool of frames and the map. A frame is its index in the pool.
#[derive(Debug)]
pub struct Memory {
    bytes: &'static mut [u8],
    /// Frames of `LOW` that stand at their own numbers in the machine below.
    low: &'static mut [u8],
    ram: Vec<u32>,
    outside: Vec<(u64, u32)>,
    spare: u32,
}

impl Memory {
    /// `bytes` is page aligned and holds `memory` bytes of guest RAM plus `SPARE_FRAMES`.
    /// RAM is `[0, 0xA0000)` and `[1 MiB, memory)`; frame = guest frame number.
    pub fn new(bytes: &'static mut [u8], memory: u64) -> Self {
        let count = memory as usize / PAGE;
        let mut ram = vec![UNMAPPED; count];
        for (gfn, frame) in ram.iter_mut().enumerate() {
            if is_ram(gfn as u64) {
                *frame = gfn as u32;
            }
        }
        Self {
            bytes,
            low: &mut [],
            ram,
            outside: Vec::with_capacity(64),
            spare: count as u32,
        }
    }

    /// Gives the frames of `LOW` the machine's own memory at their addresses: `low` starts at
    /// `LOW.start * PAGE` there. QEMU 7.2 uses no nested tables while a guest's paging is off, so
    /// that real mode meets the guest's memory only where both addresses are one.
    pub fn with_low(mut self, low: &'static mut [u8]) -> Self {
        self.low = low;
        self
    }

    /// Bytes of guest RAM, its holes included.
    pub fn size(&self) -> u64 {
        (self.ram.len() * PAGE) as u64
    }

    /// Frames in the pool.
    pub fn frames(&self) -> usize {
        self.bytes.len() / PAGE
    }

    /// The frame behind a guest frame number.
    pub fn frame(&self, gfn: u64) -> Option<u32> {
        let inside = self.ram.get(gfn as usize).copied();
        let outside = || {
            self.outside
                .iter()
                .find(|(at, _)| *at == gfn)
                .map(|(_, frame)| *frame)
        };
        inside.or_else(outside).filter(|frame| *frame != UNMAPPED)
    }

    /// The first of 512 frames that follow each other where `gfn`'s 2 MiB are mapped so, and
    /// the host's own 2 MiB begin there too.
    pub fn block(&self, gfn: u64) -> Option<u32> {
        let first = gfn & !511;
        let frame = self.frame(first)?;
        let whole = (1..512).all(|n| self.frame(first + n) == Some(frame + n as u32));
        (whole && self.address(frame).is_multiple_of(2 << 20)).then_some(frame)
    }

    /// Changes the map: `None` withholds the page.
    pub fn map(&mut self, gfn: u64, frame: Option<u32>) {
        let frame = frame.unwrap_or(UNMAPPED);
        if let Some(slot) = self.ram.get_mut(gfn as usize) {
            *slot = frame;
        } else if let Some(slot) = self.outside.iter_mut().find(|(at, _)| *at == gfn) {
            slot.1 = frame;
        } else {
            self.outside.push((gfn, frame));
        }
    }

    /// A frame that nothing uses yet.
    pub fn spare(&mut self) -> Option<u32> {
        let frame = self.spare;
        ((frame as usize) < self.frames()).then(|| {
            self.spare += 1;
            frame
        })
    }

    /// The bytes of a frame; none for a number outside the pool.
    pub fn page(&mut self, frame: u32) -> Option<&mut [u8; PAGE]> {
        if let Some(start) = self.below(frame) {
            return self.low.get_mut(start..start + PAGE)?.try_into().ok();
        }
        let start = (frame as usize).checked_mul(PAGE)?;
        self.bytes.get_mut(start..start + PAGE)?.try_into().ok()
    }

    /// Host-physical address of a frame.
    pub fn address(&self, frame: u32) -> u64 {
        if self.below(frame).is_some() {
            return u64::from(frame) * PAGE as u64;
        }
        self.bytes.as_ptr() as u64 + u64::from(frame) * PAGE as u64
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

/// Whether a guest frame number below the memory size is RAM.
pub fn is_ram(gfn: u64) -> bool {
    !(0xA0..0x100).contains(&gfn)
}
