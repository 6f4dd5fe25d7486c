//! An IOAPIC with 24 pins. Source: Intel 82093AA datasheet (290566-001), chapter 3.

use super::apic::route::Message;

/// Pins.
pub const PINS: usize = 24;
/// First byte of its two registers.
pub const BASE: u64 = 0xFEC0_0000;
/// The data register.
const DATA: u64 = BASE + 0x10;
/// Version 0x11, highest pin 23.
const VERSION: u32 = 0x11 | (PINS as u32 - 1) << 16;

const REMOTE_IRR: u64 = 1 << 14;
const LEVEL: u64 = 1 << 15;
const MASKED: u64 = 1 << 16;
/// Delivery status and remote IRR are the IOAPIC's own.
const READ_ONLY: u64 = 1 << 12 | REMOTE_IRR;

/// The registers.
#[derive(Clone, Debug)]
pub struct IoApic {
    index: u8,
    id: u32,
    entries: [u64; PINS],
    lines: u32,
}

impl Default for IoApic {
    fn default() -> Self {
        Self {
            index: 0,
            id: 0,
            entries: [MASKED; PINS],
            lines: 0,
        }
    }
}

impl IoApic {
    /// Reads one of the two registers; `None` where none is.
    pub fn read(&self, gpa: u64) -> Option<u32> {
        match gpa {
            BASE => Some(self.index.into()),
            DATA => Some(match self.index {
                0 => self.id,
                1 => VERSION,
                2 => self.id,
                index => self.entry(index).map_or(0, |(pin, high)| {
                    (self.entries[pin] >> if high { 32 } else { 0 }) as u32
                }),
            }),
            _ => None,
        }
    }

    /// Writes one of the two registers; `None` where none is, else what a level line now asks for.
    pub fn write(&mut self, gpa: u64, value: u32) -> Option<Option<Message>> {
        match gpa {
            BASE => self.index = value as u8,
            DATA => match (self.index, self.entry(self.index)) {
                (0, _) => self.id = value & 0x0F00_0000,
                (_, Some((pin, high))) => {
                    let old = self.entries[pin];
                    let value = u64::from(value);
                    let new = match high {
                        true => old & 0xFFFF_FFFF | value << 32,
                        false => old & !0xFFFF_FFFF | value,
                    };
                    self.entries[pin] = new & !READ_ONLY | old & READ_ONLY;
                    return Some(self.level(pin));
                }
                _ => {}
            },
            _ => return None,
        }
        Some(None)
    }

    /// Sets the level of a line; the message that goes out.
    pub fn line(&mut self, pin: usize, high: bool) -> Option<Message> {
        let (bit, was) = (1 << pin, self.lines >> pin & 1 == 1);
        self.lines = if high {
            self.lines | bit
        } else {
            self.lines & !bit
        };
        let entry = self.entries[pin];
        if entry & LEVEL != 0 {
            return self.level(pin);
        }
        (high && !was && entry & MASKED == 0).then(|| Message::entry(entry))
    }

    /// End of interrupt of `vector`; the message again where a level line still asks.
    pub fn end(&mut self, vector: u8) -> Option<Message> {
        for entry in &mut self.entries {
            if *entry as u8 == vector && *entry & LEVEL != 0 {
                *entry &= !REMOTE_IRR;
            }
        }
        (0..PINS).find_map(|pin| self.level(pin))
    }

    fn level(&mut self, pin: usize) -> Option<Message> {
        let entry = &mut self.entries[pin];
        let asks = *entry & (LEVEL | MASKED | REMOTE_IRR) == LEVEL && self.lines >> pin & 1 == 1;
        *entry |= if asks { REMOTE_IRR } else { 0 };
        asks.then(|| Message::entry(*entry))
    }

    fn entry(&self, index: u8) -> Option<(usize, bool)> {
        let at = usize::from(index.checked_sub(0x10)?);
        (at / 2 < PINS).then_some((at / 2, at % 2 == 1))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn vector(message: Option<Message>) -> Option<u8> {
        message.map(|message| message.vector)
    }

    fn set(ioapic: &mut IoApic, pin: u32, entry: u32) {
        ioapic.write(BASE, 0x10 + pin * 2).unwrap();
        ioapic.write(DATA, entry).unwrap();
    }

    #[test]
    fn an_edge_comes_once() {
        let mut ioapic = IoApic::default();
        assert!(ioapic.line(4, true).is_none(), "masked");
        ioapic.line(4, false);
        set(&mut ioapic, 4, 0x31);
        assert_eq!(vector(ioapic.line(4, true)), Some(0x31));
        assert_eq!(ioapic.line(4, true), None);
        assert_eq!(ioapic.end(0x31), None);
    }

    #[test]
    fn a_level_comes_again_until_it_is_low() {
        let mut ioapic = IoApic::default();
        set(&mut ioapic, 9, 0x8055);
        assert_eq!(vector(ioapic.line(9, true)), Some(0x55));
        assert_eq!(ioapic.line(9, true), None, "not ended yet");
        assert_eq!(vector(ioapic.end(0x55)), Some(0x55));
        ioapic.line(9, false);
        assert_eq!(ioapic.end(0x55), None);
    }

    #[test]
    fn version_and_absent_registers() {
        let mut ioapic = IoApic::default();
        ioapic.write(BASE, 1).unwrap();
        assert_eq!(ioapic.read(DATA), Some(0x0017_0011));
        assert_eq!(
            (ioapic.read(BASE + 4), ioapic.write(BASE + 0x40, 0)),
            (None, None)
        );
    }
}
