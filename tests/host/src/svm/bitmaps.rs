//! MSR and I/O permission maps. Source: APM vol. 2, 15.10 and 15.11.

use alloc::boxed::Box;

/// Both maps: a set bit intercepts.
#[repr(C, align(4096))]
#[derive(Debug)]
pub struct Bitmaps {
    /// MSR map, two bits (read, write) per MSR, three ranges of 8,192.
    pub msr: [u8; 8192],
    /// I/O map, one bit per port, and a byte past the end.
    pub io: [u8; 12288],
}

/// MSRs that live in the save area and are the guest's own: SYSENTER_*, PAT, EFER, STAR, LSTAR,
/// CSTAR, SFMASK, FS.base, GS.base, KernelGSbase, TSC_AUX.
pub const GUEST_OWNED: [u32; 13] = [
    0x174,
    0x175,
    0x176,
    0x277,
    0xC000_0080,
    0xC000_0081,
    0xC000_0082,
    0xC000_0083,
    0xC000_0084,
    0xC000_0100,
    0xC000_0101,
    0xC000_0102,
    0xC000_0103,
];

impl Bitmaps {
    /// Everything intercepted but `GUEST_OWNED`.
    pub fn new() -> Box<Self> {
        let mut maps = Box::new(Self {
            msr: [0xFF; 8192],
            io: [0xFF; 12288],
        });
        GUEST_OWNED.iter().for_each(|msr| maps.set_msr(*msr, false));
        maps
    }

    /// Intercepts reads and writes of `msr`, or lets them through. MSRs outside the three
    /// ranges are always intercepted.
    pub fn set_msr(&mut self, msr: u32, intercept: bool) {
        let base = match msr {
            0..=0x1FFF => 0,
            0xC000_0000..=0xC000_1FFF => 0x800,
            0xC001_0000..=0xC001_1FFF => 0x1000,
            _ => return,
        };
        let index = (msr & 0x1FFF) as usize;
        let mask = 0b11u8 << (index % 4 * 2);
        let byte = &mut self.msr[base + index / 4];
        *byte = if intercept {
            *byte | mask
        } else {
            *byte & !mask
        };
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn efer_passes_and_the_ghcb_msr_does_not() {
        let maps = Bitmaps::new();
        assert_eq!(maps.msr[0x800 + 0x80 / 4] & 0b11, 0);
        assert_eq!(maps.msr[0x1000 + 0x130 / 4] & 0b11, 0b11);
    }
}
