//! Lines on the console, `bench: NAME VALUE`.

use crate::system;

/// Prints a line. A console that cannot be written to shows in the runner: the line is missing.
pub fn line(name: &str, value: Option<u64>) {
    let mut buffer = [0; 80];
    let mut len = 0;
    let mut digits = [0; 20];
    let parts = ["bench: ", name, if value.is_some() { " " } else { "" }];
    let number = value.map_or(&[][..], |value| decimal(value, &mut digits));
    for part in parts.map(str::as_bytes).into_iter().chain([number, b"\n"]) {
        let Some(room) = buffer.get_mut(len..len + part.len()) else {
            return;
        };
        room.copy_from_slice(part);
        len += part.len();
    }
    system::print(&buffer[..len]);
}

fn decimal(mut value: u64, digits: &mut [u8; 20]) -> &[u8] {
    let mut at = digits.len();
    loop {
        at -= 1;
        digits[at] = b'0' + (value % 10) as u8;
        value /= 10;
        if value == 0 {
            return &digits[at..];
        }
    }
}
