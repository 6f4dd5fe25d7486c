//! Port I/O: COM1 enough for a console, PM1a soft off; nothing else answers.

use super::Vmm;
use crate::report::End;
use tessera_defs::{port, refusal::Refusal, snp::ghcb_msr::TERMINATE_SET_TESSERA};

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
            port::COM1 => self.console(value as u8),
            port::PM1A_CNT if size >= 2 && value & u32::from(port::PM1A_SOFT_OFF) != 0 => {
                self.end = Some(self.plain_refusal().unwrap_or(End::Shutdown));
            }
            _ => {}
        }
    }

    fn console(&mut self, byte: u8) {
        (self.machine.console)(byte);
        if self.line_ended {
            self.line.clear();
        }
        self.line_ended = byte == b'\n';
        if !self.line_ended && self.line.len() < 120 {
            self.line.push(char::from(byte));
        }
    }

    /// A plain machine has no architectural door for a refusal: the last line before soft off
    /// names it.
    fn plain_refusal(&self) -> Option<End> {
        let name = self.line.strip_prefix("tessera: refused ")?;
        let code = Refusal::from_name(name.trim_end())?.code().into();
        Some(End::Terminated {
            set: TERMINATE_SET_TESSERA,
            code,
        })
    }
}
