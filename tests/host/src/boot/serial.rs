//! COM1 (the guest's console) and COM2 (the host's report), byte by byte.

use super::instr;
use core::fmt;

const COM1: u16 = 0x3F8;
const COM2: u16 = 0x2F8;

/// A byte of the guest's console.
pub fn console(byte: u8) {
    instr::out8(COM1, byte);
}

/// A byte that was typed at the guest's console (line status register, bit 0: data are ready).
pub fn typed() -> Option<u8> {
    (instr::in8(COM1 + 5) & 1 == 1).then(|| instr::in8(COM1))
}

/// Writer of report lines.
#[derive(Clone, Copy, Debug)]
pub struct Report;

impl fmt::Write for Report {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        text.bytes().for_each(|byte| instr::out8(COM2, byte));
        Ok(())
    }
}
