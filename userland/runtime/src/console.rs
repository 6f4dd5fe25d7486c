//! Text for people.
#![allow(unsafe_code)] // passes the address of a string that lives through the call

use crate::call::call;
use core::fmt;
use tessera_abi::number;

/// Writes to the console; longer text goes in pieces.
#[derive(Clone, Copy, Debug, Default)]
pub struct Console;

impl fmt::Write for Console {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        let mut rest = text;
        while !rest.is_empty() {
            let mut end = rest.len().min(number::PRINT_MAX);
            while !rest.is_char_boundary(end) {
                end -= 1;
            }
            let (piece, after) = rest.split_at(end);
            // SAFETY: the kernel reads exactly this string.
            unsafe {
                call(
                    number::PRINT,
                    [piece.as_ptr() as u64, piece.len() as u64, 0, 0, 0, 0],
                )
            }
            .map_err(|_| fmt::Error)?;
            rest = after;
        }
        Ok(())
    }
}
