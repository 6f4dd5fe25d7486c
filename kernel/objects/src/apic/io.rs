//! An IOAPIC of 24 pins. Source: Intel 82093AA datasheet (290566-001), chapter 3.

use super::command::Command;

/// Pins.
pub const PINS: usize = 24;
/// Where its registers stand.
pub const PAGE: u64 = 0xFEC0_0000;
/// Offset of the index register, of the data register.
const INDEX: u64 = 0;
const DATA: u64 = 0x10;
/// Version 0x11, highest pin 23.
const VERSION: u32 = 0x11 | (PINS as u32 - 1) << 16;
/// Low polarity, remote IRR, level, masked.
const REMOTE_IRR: u64 = 1 << 14;
const LEVEL: u64 = 1 << 15;
const MASKED: u64 = 1 << 16;
/// Delivery status and remote IRR are the IOAPIC's own.
const READ_ONLY: u64 = 1 << 12 | REMOTE_IRR;

/// What one pin is programmed to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Pin {
    /// Nothing comes of it.
    pub masked: bool,
    /// Level, else edge.
    pub level: bool,
    /// Active low.
    pub low: bool,
}

/// An interrupt on its way to local APICs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Message {
    /// What, to whom: a logical destination is that of cluster 0.
    pub command: Command,
    /// Level, else edge.
    pub level: bool,
}

/// The registers.
#[derive(Clone, Debug)]
pub struct IoApic {
    index: u8,
    id: u32,
    entries: [u64; PINS],
}

impl Default for IoApic {
    fn default() -> Self {
        Self::new()
    }
}

impl IoApic {
    /// After a reset: every pin masked.
    pub const fn new() -> Self {
        Self {
            index: 0,
            id: 0,
            entries: [MASKED; PINS],
        }
    }

    /// Reads the register at `offset` of its page; where none is, zeros.
    pub fn read(&self, offset: u64) -> u32 {
        match (offset, self.index) {
            (INDEX, index) => index.into(),
            (DATA, 0 | 2) => self.id,
            (DATA, 1) => VERSION,
            (DATA, index) => half(index).map_or(0, |(pin, high)| {
                (self.entries[pin] >> if high { 32 } else { 0 }) as u32
            }),
            _ => 0,
        }
    }

    /// Writes the register at `offset`; the pin whose programming changed.
    pub fn write(&mut self, offset: u64, value: u32) -> Option<usize> {
        match (offset, self.index) {
            (INDEX, _) => self.index = value as u8,
            (DATA, 0) => self.id = value & 0x0F00_0000,
            (DATA, index) => {
                let (pin, high) = half(index)?;
                let (old, value) = (self.entries[pin], u64::from(value));
                let new = match high {
                    true => old & 0xFFFF_FFFF | value << 32,
                    false => old & !0xFFFF_FFFF | value,
                };
                // An edge entry has no interrupt that waits for its end.
                let kept = if new & LEVEL == 0 {
                    0
                } else {
                    old & REMOTE_IRR
                };
                self.entries[pin] = new & !READ_ONLY | kept;
                return Some(pin);
            }
            _ => {}
        }
        None
    }

    /// How a pin is programmed.
    pub fn pin(&self, pin: usize) -> Pin {
        let entry = self.entries[pin];
        Pin {
            masked: entry & MASKED != 0,
            level: entry & LEVEL != 0,
            low: entry >> 13 & 1 == 1,
        }
    }

    /// A pin's line became active, or is so still after its interrupt ended.
    pub fn raise(&mut self, pin: usize) -> Option<Message> {
        let entry = self.entries.get_mut(pin)?;
        let waits = *entry & LEVEL != 0 && *entry & REMOTE_IRR != 0;
        if *entry & MASKED != 0 || waits {
            return None;
        }
        if *entry & LEVEL != 0 {
            *entry |= REMOTE_IRR;
        }
        // Destination, mode and vector stand where a command has them, but for the width.
        let to = match *entry >> 56 {
            0xFF => 0xFFFF_FFFF,
            to => to,
        };
        let command = Command::decode(to << 32 | *entry & 0xFFF).ok()??;
        let level = *entry & LEVEL != 0;
        Some(Message { command, level })
    }

    /// Level interrupts of `vector` ended: a bit for each pin that may ask again.
    pub fn end(&mut self, vector: u8) -> u32 {
        let mut pins = 0;
        for (pin, entry) in self.entries.iter_mut().enumerate() {
            if *entry as u8 == vector && *entry & (LEVEL | REMOTE_IRR) == LEVEL | REMOTE_IRR {
                *entry &= !REMOTE_IRR;
                pins |= 1 << pin;
            }
        }
        pins
    }
}

/// Pin, and whether its upper half is meant.
fn half(index: u8) -> Option<(usize, bool)> {
    let at = usize::from(index.checked_sub(0x10)?);
    (at / 2 < PINS).then_some((at / 2, at % 2 == 1))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn set(ioapic: &mut IoApic, pin: u32, entry: u64) {
        for (half, value) in [(0, entry as u32), (1, (entry >> 32) as u32)] {
            ioapic.write(INDEX, 0x10 + pin * 2 + half);
            assert_eq!(ioapic.write(DATA, value), Some(pin as usize));
        }
    }

    #[test]
    fn an_edge_comes_each_time_and_a_level_once_until_its_end() {
        let mut ioapic = IoApic::new();
        assert_eq!(ioapic.raise(4), None, "masked");
        set(&mut ioapic, 4, 0x31);
        let sent = |icr, level| {
            let command = Command::decode(icr).unwrap().unwrap();
            Some(Message { command, level })
        };
        assert_eq!(ioapic.raise(4), sent(0x31, false));
        assert!(ioapic.raise(4).is_some());
        set(&mut ioapic, 9, 3 << 56 | 0x8955);
        assert_eq!(ioapic.raise(9), sent(3 << 32 | 0x955, true));
        assert_eq!(ioapic.raise(9), None, "not ended yet");
        assert_eq!((ioapic.end(0x31), ioapic.end(0x55)), (0, 1 << 9));
        assert_eq!(ioapic.raise(9), sent(3 << 32 | 0x955, true));
    }

    #[test]
    fn remote_irr_is_read_only_and_goes_with_the_level() {
        let mut ioapic = IoApic::new();
        set(&mut ioapic, 2, REMOTE_IRR | LEVEL | 0x40);
        assert!(ioapic.raise(2).is_some(), "the guest cannot set it");
        ioapic.write(INDEX, 0x14);
        assert_eq!(ioapic.read(DATA), (REMOTE_IRR | LEVEL | 0x40) as u32);
        ioapic.write(DATA, 0x40);
        assert_eq!(ioapic.read(DATA), 0x40);
        assert_eq!(ioapic.end(0x40), 0);
    }

    #[test]
    fn version_and_registers_that_are_not_there() {
        let mut ioapic = IoApic::new();
        ioapic.write(INDEX, 1);
        assert_eq!(ioapic.read(DATA), 0x0017_0011);
        assert_eq!((ioapic.read(4), ioapic.write(0x40, 1)), (0, None));
        for index in [0x0F, 0x40] {
            ioapic.write(INDEX, index);
            assert_eq!((ioapic.read(DATA), ioapic.write(DATA, 1)), (0, None));
        }
    }
}
