//! System calls: `tessera_abi`. Addresses from a process are allegations.

use crate::{boot::Boot, console, host, memory, process, timer, windows};
use spin::Once;
use tessera_abi::error::Error;
use tessera_abi::info::SystemInfo;
use tessera_abi::number;
use tessera_hw::trap::TrapFrame;

static IDENTITY: Once<(u32, u32)> = Once::new();

/// Remembers what `INFO` reports of this boot.
pub fn install(boot: &Boot) {
    IDENTITY.call_once(|| (boot.mode as u32, boot.profile as u32));
}

/// Serves the call in `frame`.
pub fn serve(frame: &mut TrapFrame) {
    let result = match frame.rax {
        number::EXIT => exit(frame.rdi),
        number::PRINT => print(frame.rdi, frame.rsi),
        number::INFO => info(frame.rdi, frame.rsi),
        _ => Err(Error::UnknownCall),
    };
    frame.rax = result.unwrap_or_else(|error| error as i64 as u64);
}

fn exit(code: u64) -> ! {
    let unasked = timer::unasked();
    console::emergency(format_args!(
        "tessera: init exited with {code}, {unasked} unasked interrupts\n"
    ));
    host::shutdown()
}

fn print(virt: u64, len: u64) -> Result<u64, Error> {
    let mut buffer = [0u8; number::PRINT_MAX];
    let text = buffer.get_mut(..len as usize).ok_or(Error::TooLong)?;
    if !memory::user_range(process::space(), virt, len, false) {
        return Err(Error::BadAddress);
    }
    windows::copy_from_user(virt, text);
    let text = core::str::from_utf8(text).map_err(|_| Error::BadAddress)?;
    console::user_text(text);
    Ok(len)
}

fn info(virt: u64, len: u64) -> Result<u64, Error> {
    let bytes = encode(&current());
    if (len as usize) < bytes.len() {
        return Err(Error::TooShort);
    }
    if !memory::user_range(process::space(), virt, bytes.len() as u64, true) {
        return Err(Error::BadAddress);
    }
    windows::copy_to_user(virt, &bytes);
    Ok(bytes.len() as u64)
}

fn current() -> SystemInfo {
    let (mode, profile) = IDENTITY.get().copied().unwrap_or_default();
    let counts = memory::counts();
    SystemInfo {
        mode,
        profile,
        pages_total: counts.total,
        pages_accepted: counts.accepted,
        pages_shared: counts.shared,
        ticks: timer::ticks(),
    }
}

/// The structure's bytes as `repr(C)` lays it out (it has no padding).
fn encode(info: &SystemInfo) -> [u8; size_of::<SystemInfo>()] {
    let mut bytes = [0; size_of::<SystemInfo>()];
    bytes[..4].copy_from_slice(&info.mode.to_le_bytes());
    bytes[4..8].copy_from_slice(&info.profile.to_le_bytes());
    let rest = [
        info.pages_total,
        info.pages_accepted,
        info.pages_shared,
        info.ticks,
    ];
    for (slot, value) in bytes[8..].chunks_exact_mut(8).zip(rest) {
        slot.copy_from_slice(&value.to_le_bytes());
    }
    bytes
}
