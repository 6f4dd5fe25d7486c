//! Port I/O: what the devices answer, and the console behind COM1.

use super::{Vmm, missing::Request};
use crate::report::End;
use tessera_defs::{refusal::Refusal, snp::ghcb_msr::TERMINATE_SET_TESSERA};

impl Vmm {
    /// IN of `size` bytes: all ones where no device answers.
    pub fn port_in(&mut self, at: u16, size: u8) -> u32 {
        let ones = u32::MAX >> (32 - 8 * u32::from(size.clamp(1, 4)));
        match self.device_in(at) {
            Some(value) => value & ones,
            None => {
                self.missed(Request::In(at));
                ones
            }
        }
    }

    /// OUT of `size` bytes: lost where no device listens.
    pub fn port_out(&mut self, at: u16, size: u8, value: u32) {
        if self.device_out(at, size, value).is_none() {
            self.missed(Request::Out(at));
        }
    }

    /// A byte on the console.
    pub(super) fn console(&mut self, byte: u8) {
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
    pub(super) fn plain_refusal(&self) -> Option<End> {
        let name = self.line.strip_prefix("tessera: refused ")?;
        let code = Refusal::from_name(name.trim_end())?.code().into();
        Some(End::Terminated {
            set: TERMINATE_SET_TESSERA,
            code,
        })
    }
}
