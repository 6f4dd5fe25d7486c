//! Text for people.
#![allow(unsafe_code)] // passes the address of a string that lives through the call

use crate::call::call;
use core::fmt::{self, Write};
use tessera_abi::number;

/// Writes to the console. What one `write!` says goes there in one piece, up to `LINE` bytes, so that
/// nobody else's words come between; longer text goes in pieces.
#[derive(Clone, Copy, Debug, Default)]
pub struct Console;

/// Bytes that go out together.
const LINE: usize = 256;

impl fmt::Write for Console {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        let mut rest = text;
        while !rest.is_empty() {
            let (piece, after) = rest.split_at(boundary(rest, number::PRINT_MAX));
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

    fn write_fmt(&mut self, text: fmt::Arguments<'_>) -> fmt::Result {
        let mut line = Line {
            bytes: [0; LINE],
            len: 0,
        };
        line.write_fmt(text)?;
        line.flush()
    }
}

/// The largest end of a piece of at most `most` bytes.
fn boundary(text: &str, most: usize) -> usize {
    let mut end = text.len().min(most);
    while !text.is_char_boundary(end) {
        end -= 1;
    }
    end
}

/// Collects pieces.
struct Line {
    bytes: [u8; LINE],
    len: usize,
}

impl Line {
    fn flush(&mut self) -> fmt::Result {
        let text = core::str::from_utf8(&self.bytes[..self.len]);
        self.len = 0;
        Console.write_str(text.map_err(|_| fmt::Error)?)
    }
}

impl fmt::Write for Line {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        let mut rest = text;
        while !rest.is_empty() {
            let room = boundary(rest, LINE - self.len);
            if room == 0 {
                self.flush()?;
                continue;
            }
            let (piece, after) = rest.split_at(room);
            self.bytes[self.len..][..room].copy_from_slice(piece.as_bytes());
            self.len += room;
            rest = after;
        }
        Ok(())
    }
}
