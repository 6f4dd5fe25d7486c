//! xAPIC mode: the registers as memory. Source: Intel SDM vol. 3, table 10-1.

use super::{Apic, BASE};
use tessera_defs::x86::x2apic;

const ID: u64 = 0x20;
const LOGICAL: u64 = 0xD0;
const FORMAT: u64 = 0xE0;
const COMMAND_LOW: u64 = 0x300;
const COMMAND_HIGH: u64 = 0x310;

impl Apic {
    /// The offset of a register at `gpa`, where this mode shows registers there.
    pub fn at(&self, gpa: u64) -> Option<u64> {
        let shown = self.base & super::MODE == x2apic::BASE_EN;
        (shown && gpa & !0xFFF == BASE).then_some(gpa & 0xFF0)
    }

    /// Reads the register at an offset; what is reserved reads as 0.
    pub fn load(&self, offset: u64, now: u64) -> u32 {
        let value = match offset {
            ID => u64::from(self.id) << 24,
            LOGICAL => self.logical[0].into(),
            FORMAT => self.logical[1].into(),
            COMMAND_LOW => self.command,
            COMMAND_HIGH => self.command >> 32,
            _ => self.read(msr(offset), now).unwrap_or(0),
        };
        value as u32
    }

    /// Writes the register at an offset; what is reserved is lost.
    pub fn store(&mut self, offset: u64, value: u32, now: u64) {
        match offset {
            // Model-specific bits, and what x2APIC has alone.
            ID | 0x3F0 => {}
            LOGICAL => self.logical[0] = value & 0xFF00_0000,
            FORMAT => self.logical[1] = value | 0x0FFF_FFFF,
            COMMAND_HIGH => {
                self.command = self.command & 0xFFFF_FFFF | u64::from(value & 0xFF00_0000) << 32;
            }
            COMMAND_LOW => {
                self.command = self.command >> 32 << 32 | u64::from(value);
                self.sent = Some(self.command);
            }
            // Every value ends an interrupt here.
            0xB0 => self.end_of_interrupt(),
            _ => {
                let _ = self.write(msr(offset), value.into(), now);
            }
        }
    }
}

fn msr(offset: u64) -> u32 {
    0x800 + (offset >> 4) as u32
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn registers_are_in_memory_in_this_mode_only() {
        let mut apic = Apic::new(2);
        assert_eq!(apic.at(BASE + 0x20), None);
        apic.set_base(BASE).unwrap();
        apic.set_base(BASE | x2apic::BASE_EN).unwrap();
        assert_eq!(apic.at(BASE + 0x20), Some(0x20));
        assert_eq!(apic.load(0x20, 0), 2 << 24);
        apic.store(COMMAND_HIGH, 3 << 24, 0);
        assert_eq!(apic.take_sent(), None);
        apic.store(COMMAND_LOW, 0x4055, 0);
        assert_eq!(apic.take_sent(), Some(3 << 56 | 0x4055));
        apic.request(0x55);
        apic.accept(0x55);
        apic.store(0xB0, 7, 0);
        assert_eq!(apic.take_ended(), Some(0x55));
    }
}
