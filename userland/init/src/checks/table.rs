//! A full handle table.

use core::fmt::Write;
use tessera_abi::error::Error::TableFull;
use tessera_abi::number::HANDLES;
use tessera_abi::rights;
use tessera_runtime::console::Console;
use tessera_runtime::handle::Handle;

/// Fills the handle table: the last one must be refused, and closing must make room again.
pub fn run() -> u64 {
    let mut made = [Handle::NONE; HANDLES];
    let Ok(first) = Handle::notification() else {
        return 1;
    };
    let mut count = 0;
    let error = loop {
        match first.duplicate(rights::SEND, 0) {
            Ok(handle) if count < made.len() => made[count] = handle,
            Ok(_) => break None,
            Err(error) => break Some(error),
        }
        count += 1;
    };
    let closed = made[..count.min(made.len())]
        .iter()
        .all(|handle| handle.close().is_ok());
    let good = error == Some(TableFull) && closed && first.close().is_ok();
    if !good {
        let _unwritable = writeln!(Console, "init: check failed: a full table: {error:?}");
    }
    u64::from(!good)
}
