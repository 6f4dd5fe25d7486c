//! Translation by page tables that somebody else owns: four levels of 64-bit mode. Source: APM
//! vol. 2, 5.3.

/// Present; large, in a directory.
const PRESENT: u64 = 1 << 0;
const LARGE: u64 = 1 << 7;
/// Bits of an address in an entry.
const ADDRESS: u64 = 0x000F_FFFF_FFFF_F000;

/// The physical address of `virt`, with whatever bits above the memory the entries have. `read`
/// gives the entry at a physical address, or nothing where no table may stand. `None`: not mapped.
pub fn translate(cr3: u64, virt: u64, mut read: impl FnMut(u64) -> Option<u64>) -> Option<u64> {
    let mut table = cr3 & ADDRESS;
    for level in [3, 2, 1, 0] {
        let shift = 12 + 9 * level;
        let entry = read(table + (virt >> shift & 0x1FF) * 8)?;
        if entry & PRESENT == 0 || level == 3 && entry & LARGE != 0 {
            return None;
        }
        let inside = (1u64 << shift) - 1;
        table = entry & ADDRESS;
        if level == 0 || entry & LARGE != 0 {
            // Bit 12 of a large leaf is PAT.
            return Some(table & !inside | virt & inside);
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    const SHARED: u64 = 1 << 46;

    /// Tables at 0x1000: a small page at 0, a large one at 2 MiB, a huge one at 1 GiB.
    fn entry(at: u64) -> Option<u64> {
        Some(match at {
            0x1000 => 0x2003,
            0x2000 => 0x3003,
            0x2008 => 0x4000_0083 | 1 << 63,
            0x3000 => 0x4003,
            0x3008 => SHARED | 0x60_1083,
            0x4000 => SHARED | 0x9003,
            0x4008 => 0x9002,
            0x1FF8 => 0x2083,
            0x1010 => 0xBAD_0003,
            0xBAD_0000.. => return None,
            _ => 0,
        })
    }

    #[test]
    fn every_size_of_page_is_found() {
        let at = |virt| translate(0x1018, virt, entry);
        assert_eq!(at(0x123), Some(SHARED | 0x9123));
        assert_eq!(at(0x20_0456), Some(SHARED | 0x60_0456), "PAT is no address");
        assert_eq!(at(0x4123_4567), Some(0x4123_4567));
        assert_eq!(at(0x1000), None, "not present");
        assert_eq!(at(1 << 40), None, "no entry");
        assert_eq!(at(2 << 39), None, "no table");
        assert_eq!(at(0xFFFF_FF80_0000_0000), None, "reserved");
    }
}
