//! What a panic of a process says, and to whom.

use crate::console::Console;
use crate::ipc::{self, Message};
use crate::{service, system};
use core::fmt::{self, Write};
use core::panic::PanicInfo;
use tessera_abi::message;

/// Exit code of a process that panicked.
pub const CODE: u64 = 101;
/// How long a supervisor may take to hear of it, in microseconds.
const PATIENCE: u32 = 1_000_000;

/// The words of a message as text: what does not fit is left out.
struct Words {
    bytes: [[u8; 8]; message::WORDS],
    len: usize,
}

impl Write for Words {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        let room = &mut self.bytes.as_flattened_mut()[self.len..];
        let count = text.len().min(room.len());
        room[..count].copy_from_slice(&text.as_bytes()[..count]);
        self.len += count;
        Ok(())
    }
}

/// Prints the panic, tells the supervisor, and exits. The kernel and the supervisor know whose it is.
pub fn of_service(info: &PanicInfo<'_>) -> ! {
    let mut words = Words {
        bytes: [[0; 8]; message::WORDS],
        len: 0,
    };
    if let Some(place) = info.location() {
        let file = place.file().rsplit('/').next().unwrap_or_default();
        let _full = write!(words, "{file}:{}: ", place.line());
    }
    let _full = write!(words, "{}", info.message());
    let _unwritable = writeln!(Console, "{info}");
    let mut report = Message {
        tag: message::tag(service::PANIC, 0),
        words: words.bytes.map(u64::from_le_bytes),
    };
    let _alone = ipc::call(service::SUPERVISOR, &mut report, PATIENCE);
    system::exit(CODE)
}

/// Prints the panic of a process that has no supervisor, and exits.
pub fn of_first(info: &PanicInfo<'_>) -> ! {
    let _unwritable = writeln!(Console, "init: check failed: {info}");
    system::exit(CODE)
}
