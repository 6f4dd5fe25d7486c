//! Device memory: an IOAPIC's index and data registers (82093AA datasheet, 3.1).

use super::Vmm;

/// Where it stands.
pub const IOAPIC: u64 = 0xFEC0_0000;
const DATA: u64 = IOAPIC + 0x10;
/// Version 0x11, 24 redirection entries.
const VERSION: u32 = 0x0017_0011;

impl Vmm {
    /// A read of a device; `None` where there is none.
    pub fn mmio_read(&mut self, gpa: u64) -> Option<u64> {
        self.note("mmio");
        match gpa {
            IOAPIC => Some(self.ioapic_index.into()),
            DATA if self.ioapic_index == 1 => Some(VERSION.into()),
            // Redirection entries are masked; the others read as zero.
            DATA if self.ioapic_index >= 0x10 && self.ioapic_index.is_multiple_of(2) => {
                Some(1 << 16)
            }
            DATA => Some(0),
            _ => None,
        }
    }

    /// A write of a device; `None` where there is none.
    pub fn mmio_write(&mut self, gpa: u64, value: u64) -> Option<()> {
        self.note("mmio");
        match gpa {
            IOAPIC => self.ioapic_index = value as u32 & 0xFF,
            DATA => {}
            _ => return None,
        }
        Some(())
    }
}
