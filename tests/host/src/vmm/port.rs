//! Port I/O: COM1 enough for a console, PM1a soft off; nothing else answers.

use super::Vmm;
use crate::report::End;
use tessera_defs::port;

/// Line status: transmitter empty.
const LSR_EMPTY: u32 = 0x60;

impl Vmm {
    /// IN of `size` bytes.
    pub fn port_in(&mut self, at: u16, size: u8) -> u32 {
        let ones = u32::MAX >> (32 - 8 * u32::from(size.clamp(1, 4)));
        match at.wrapping_sub(port::COM1) {
            5 => LSR_EMPTY,
            0..=4 | 6 | 7 => 0,
            _ if at == port::PM1A_CNT => 1,
            _ => ones,
        }
    }

    /// OUT of `size` bytes.
    pub fn port_out(&mut self, at: u16, size: u8, value: u32) {
        match at {
            port::COM1 => (self.machine.console)(value as u8),
            port::PM1A_CNT if size >= 2 && value & u32::from(port::PM1A_SOFT_OFF) != 0 => {
                self.end = Some(End::Shutdown);
            }
            _ => {}
        }
    }
}
