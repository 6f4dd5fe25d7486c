//! ACPI fixed hardware: PM1a event and control blocks and the PM timer. Source: ACPI 6.5, 4.8.3.

use tessera_defs::port::{PM_TMR, PM1A_CNT, PM1A_EVT};

/// Frequency of the PM timer.
const HERTZ: u128 = 3_579_545;
/// PM1 control: interrupts are SCIs, which is the only way here.
const SCI_EN: u16 = 1;

/// The registers.
#[derive(Clone, Debug, Default)]
pub struct Pm {
    enable: u16,
    control: u16,
}

impl Pm {
    /// A read of `size` bytes; `None` where no register is. `now` in nanoseconds.
    pub fn read(&self, port: u16, now: u64) -> Option<u32> {
        let ticks = u128::from(now) * HERTZ / 1_000_000_000;
        Some(match port {
            // No event ever happens.
            PM1A_EVT => 0,
            at if at == PM1A_EVT + 2 => self.enable.into(),
            PM1A_CNT => u32::from(self.control | SCI_EN),
            PM_TMR => ticks as u32,
            _ => return None,
        })
    }

    /// A write; `None` where no register is. Soft off is the caller's.
    pub fn write(&mut self, port: u16, value: u32) -> Option<()> {
        match port {
            PM1A_EVT => {}
            at if at == PM1A_EVT + 2 => self.enable = value as u16,
            PM1A_CNT => self.control = value as u16 & 0x1C00,
            _ => return None,
        }
        Some(())
    }
}
