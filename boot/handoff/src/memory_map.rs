//! A memory map is a claim. It is believed only if it makes sense and covers the image.

use crate::layout::{IMAGE_END, IMAGE_START};
use tessera_defs::refusal::Refusal;

/// Guest physical addresses stay below every shared bit and boundary.
const LIMIT: u64 = 1 << 45;
/// Memory that a guest needs at least, in bytes.
const MINIMUM: u64 = 16 << 20;

/// One range of a memory map.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Range {
    /// First byte.
    pub start: u64,
    /// Bytes.
    pub len: u64,
    /// RAM that may be used.
    pub ram: bool,
}

impl Range {
    const IMAGE: Range = Range {
        start: IMAGE_START,
        len: IMAGE_END - IMAGE_START,
        ram: true,
    };

    /// RAM shrinks to whole pages (a PC's low RAM ends inside one). Errors: `MemoryMapInvalid`
    /// for a range that wraps around.
    pub fn whole_pages(self) -> Result<Range, Refusal> {
        let end = self
            .start
            .checked_add(self.len)
            .ok_or(Refusal::MemoryMapInvalid)?;
        if !self.ram {
            return Ok(self);
        }
        let start = self
            .start
            .checked_next_multiple_of(4096)
            .ok_or(Refusal::MemoryMapInvalid)?;
        Ok(Range {
            start,
            len: (end & !4095).saturating_sub(start),
            ram: true,
        })
    }

    fn end(&self) -> u64 {
        self.start.saturating_add(self.len)
    }

    fn overlaps(&self, other: &Range) -> bool {
        self.len != 0 && other.len != 0 && self.start < other.end() && other.start < self.end()
    }
}

/// Checks a whole map. Errors: `MemoryMapInvalid` (ranges overlap or reach past the address
/// width), `MemoryMapOverlapsImage` (the image is given away, given twice or not covered),
/// `MemoryTooSmall`.
pub fn check(ranges: &[Range]) -> Result<(), Refusal> {
    let of_image = ranges
        .iter()
        .filter(|range| range.overlaps(&Range::IMAGE))
        .count();
    for (n, range) in ranges.iter().enumerate() {
        if range.ram && range.end() > LIMIT {
            return Err(Refusal::MemoryMapInvalid);
        }
        if ranges[n + 1..].iter().any(|other| range.overlaps(other)) {
            let image = of_image > 1;
            return Err(if image {
                Refusal::MemoryMapOverlapsImage
            } else {
                Refusal::MemoryMapInvalid
            });
        }
    }
    let ram = ranges.iter().filter(|range| range.ram);
    if ram.clone().map(|range| range.len).sum::<u64>() < MINIMUM {
        return Err(Refusal::MemoryTooSmall);
    }
    let covers = |range: &Range| range.start <= IMAGE_START && range.end() >= IMAGE_END;
    if ram.clone().any(covers) {
        Ok(())
    } else {
        Err(Refusal::MemoryMapOverlapsImage)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const fn ram(start: u64, len: u64) -> Range {
        Range {
            start,
            len,
            ram: true,
        }
    }
    const LOW: Range = ram(0, 0xA_0000);
    const HIGH: Range = ram(0x10_0000, 63 << 20);

    #[test]
    fn honest_maps_pass() {
        assert_eq!(check(&[LOW, HIGH]), Ok(()));
        let device = Range {
            start: 0xFEE0_0000,
            len: 4096,
            ram: false,
        };
        assert_eq!(check(&[LOW, HIGH, device]), Ok(()));
    }

    #[test]
    fn each_lie_has_its_name() {
        let hole = Range {
            start: 0x20_0000,
            len: 4096,
            ram: false,
        };
        assert_eq!(
            check(&[LOW, HIGH, hole]),
            Err(Refusal::MemoryMapOverlapsImage)
        );
        assert_eq!(
            check(&[HIGH, ram(0x30_0000, 4096)]),
            Err(Refusal::MemoryMapOverlapsImage)
        );
        assert_eq!(check(&[LOW, LOW, HIGH]), Err(Refusal::MemoryMapInvalid));
        assert_eq!(
            check(&[HIGH, ram(LIMIT, 4096)]),
            Err(Refusal::MemoryMapInvalid)
        );
        assert_eq!(
            check(&[ram(0x100_0000, 64 << 20)]),
            Err(Refusal::MemoryMapOverlapsImage)
        );
        assert_eq!(check(&[ram(0, 8 << 20)]), Err(Refusal::MemoryTooSmall));
        assert_eq!(check(&[]), Err(Refusal::MemoryTooSmall));
    }

    #[test]
    fn ram_shrinks_to_whole_pages_and_never_wraps() {
        assert_eq!(ram(0, 0x9_FC00).whole_pages(), Ok(ram(0, 0x9_F000)));
        assert_eq!(ram(0x10, 0x20).whole_pages(), Ok(ram(0x1000, 0)));
        assert_eq!(
            ram(u64::MAX - 1, 4).whole_pages(),
            Err(Refusal::MemoryMapInvalid)
        );
        assert_eq!(
            ram(u64::MAX - 8, 4).whole_pages(),
            Err(Refusal::MemoryMapInvalid)
        );
    }
}
