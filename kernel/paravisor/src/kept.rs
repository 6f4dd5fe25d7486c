//! Registers of a PC's processor that the guest may read and write, and that change nothing here:
//! memory types, machine checks (no banks), AMD's configuration. Sources: Intel SDM vol. 4,
//! chapter 2; APM vol. 2, 7.7 (MTRRs), 9.2 (machine checks) and appendix A.

/// Registers that keep their value: first one and how many follow.
const RANGES: [(u32, u32); 14] = [
    (0x3A, 1),
    (0x48, 1),
    (0x8B, 1),
    (0x17A, 1),
    (0x1A0, 1),
    (0x1D9, 1),
    // Variable and fixed MTRRs, their default type.
    (0x200, 16),
    (0x250, 1),
    (0x258, 2),
    (0x268, 8),
    (0x2FF, 1),
    (0xC001_0015, 1),
    (0xC001_001F, 1),
    (0xC001_1029, 1),
];
const COUNT: usize = 37;
/// Values that are not zero at the start: feature control is locked; fast strings; the fixed
/// ranges that are memory, write-back; MTRRs on, write-back.
const INITIAL: [(u32, u64); 4] = [(0x3A, 1), (0x1A0, 1), (0x2FF, 0x806), (0x250, WRITE_BACK)];
const WRITE_BACK: u64 = 0x0606_0606_0606_0606;
/// MTRRcap: 8 variable ranges, fixed ranges, write-combining. No machine check banks. SYSCFG:
/// fixed and variable ranges on, no encryption. Interrupt pending and C1 state: none.
const CONSTANTS: [(u32, u64); 4] = [
    (0xFE, 0x508),
    (0x179, 0),
    (0xC001_0010, 1 << 18 | 1 << 20),
    (0xC001_0055, 0),
];

/// The values of one processor.
pub struct Kept([u64; COUNT]);

impl Kept {
    /// At the start.
    pub fn new() -> Self {
        let mut kept = Self([0; COUNT]);
        for (msr, value) in INITIAL {
            let _ = kept.write(msr, value);
        }
        for msr in [
            0x258, 0x268, 0x269, 0x26A, 0x26B, 0x26C, 0x26D, 0x26E, 0x26F,
        ] {
            let _ = kept.write(msr, WRITE_BACK);
        }
        kept
    }

    /// The value of a register, if it is one of these.
    pub fn read(&self, msr: u32) -> Option<u64> {
        let constant = CONSTANTS.iter().find(|(known, _)| *known == msr);
        let kept = || place(msr).map(|at| self.0[at]);
        constant.map(|(_, value)| *value).or_else(kept)
    }

    /// Keeps a value.
    pub fn write(&mut self, msr: u32, value: u64) -> Option<()> {
        self.0[place(msr)?] = value;
        Some(())
    }
}

fn place(msr: u32) -> Option<usize> {
    let mut at = 0;
    for (first, count) in RANGES {
        if (first..first + count).contains(&msr) {
            return Some((at + msr - first) as usize);
        }
        at += count;
    }
    None
}

const _: () = {
    let (mut sum, mut n) = (0, 0);
    while n < RANGES.len() {
        sum += RANGES[n].1;
        n += 1;
    }
    assert!(sum as usize == COUNT);
};
