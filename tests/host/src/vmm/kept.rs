//! Registers of a PC processor that a guest may read and write, and that change nothing here:
//! memory types, machine checks (no banks), and AMD's configuration registers. Sources: Intel
//! SDM vol. 4, chapter 2; APM vol. 2, 7.7 (MTRRs) and appendix A.

/// MTRRcap: 8 variable ranges, fixed ranges, write-combining.
const MTRR_CAP: u64 = 0x508;
/// MTRRdefType at reset of a firmware that is done: enabled, write-back.
const MTRR_DEFAULT: u64 = 0x806;

/// Registers that are read and written, with their initial values.
const REGISTERS: [(u32, u64); 37] = [
    (0x3A, 1),
    (0x48, 0),
    (0x8B, 0),
    // IA32_MISC_ENABLE: fast strings.
    (0x1A0, 1),
    (0x17A, 0),
    (0x1D9, 0),
    (0x200, 0),
    (0x201, 0),
    (0x202, 0),
    (0x203, 0),
    (0x204, 0),
    (0x205, 0),
    (0x206, 0),
    (0x207, 0),
    (0x208, 0),
    (0x209, 0),
    (0x20A, 0),
    (0x20B, 0),
    (0x20C, 0),
    (0x20D, 0),
    (0x20E, 0),
    (0x20F, 0),
    (0x250, FIXED),
    (0x258, FIXED),
    (0x259, 0),
    (0x268, FIXED),
    (0x269, FIXED),
    (0x26A, FIXED),
    (0x26B, FIXED),
    (0x26C, FIXED),
    (0x26D, FIXED),
    (0x26E, FIXED),
    (0x26F, FIXED),
    (0x2FF, MTRR_DEFAULT),
    (0xC001_0015, 0),
    (0xC001_001F, 0),
    (0xC001_1029, 0),
];
/// Eight write-back ranges.
const FIXED: u64 = 0x0606_0606_0606_0606;

/// Registers that are only read.
const CONSTANTS: [(u32, u64); 4] = [
    (0xFE, MTRR_CAP),
    // No machine check banks.
    (0x179, 0),
    // SYSCFG: MTRR fixed and variable ranges on; no encryption.
    (0xC001_0010, 1 << 18 | 1 << 20),
    // Interrupt pending and C1 state: none.
    (0xC001_0055, 0),
];

/// The values.
#[derive(Clone, Debug)]
pub struct Kept {
    values: [u64; REGISTERS.len()],
}

impl Default for Kept {
    fn default() -> Self {
        Self {
            values: REGISTERS.map(|(_, value)| value),
        }
    }
}

impl Kept {
    /// The value of a register, if it is one of these.
    pub fn read(&self, msr: u32) -> Option<u64> {
        let constant = CONSTANTS.iter().find(|(known, _)| *known == msr);
        let kept = || Some(self.values[place(msr)?]);
        constant.map(|(_, value)| *value).or_else(kept)
    }

    /// Keeps a value; `None` for a register that is not one of these.
    pub fn write(&mut self, msr: u32, value: u64) -> Option<()> {
        self.values[place(msr)?] = value;
        Some(())
    }
}

fn place(msr: u32) -> Option<usize> {
    REGISTERS.iter().position(|(known, _)| *known == msr)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn capabilities_cannot_be_written() {
        let mut kept = Kept::default();
        assert_eq!(kept.write(0xFE, 0), None);
        assert_eq!(
            (kept.read(0xFE), kept.read(0x2FF)),
            (Some(0x508), Some(0x806))
        );
        kept.write(0x2FF, 0xC06).unwrap();
        assert_eq!((kept.read(0x2FF), kept.read(0x123)), (Some(0xC06), None));
    }
}
