//! `print`, `info`, `usage`.

use super::user;
use crate::boot::Boot;
use crate::cpu::Kernel;
use crate::{clock, console, memory, timer};
use spin::Once;
use tessera_abi::error::Error;
use tessera_abi::number;
use tessera_objects::system::space::{Life, Space};

static IDENTITY: Once<(u32, u32)> = Once::new();

/// Remembers what `INFO` reports of this boot.
pub fn install(boot: &Boot) {
    IDENTITY.call_once(|| (boot.mode as u32, boot.profile as u32));
}

pub fn print(kernel: &mut Kernel, virt: u64, len: u64) -> Result<u64, Error> {
    let mut buffer = [0u8; number::PRINT_MAX];
    let wanted = usize::try_from(len).map_err(|_| Error::TooLong)?;
    let text = buffer.get_mut(..wanted).ok_or(Error::TooLong)?;
    user::read(kernel, virt, text)?;
    let text = core::str::from_utf8(text).map_err(|_| Error::BadAddress)?;
    let space = kernel.system.current_space();
    console::user_text(space, &kernel.system.space(space).name, text);
    Ok(len)
}

/// `SystemInfo`, whose fields follow each other without padding.
pub fn info(kernel: &mut Kernel, virt: u64, len: u64) -> Result<u64, Error> {
    let (mode, profile) = IDENTITY.get().copied().unwrap_or_default();
    let counts = memory::counts();
    let words = [
        u64::from(mode) | u64::from(profile) << 32,
        counts.total,
        counts.accepted,
        counts.shared,
        timer::ticks(),
        clock::now(),
        kernel.system.processors().into(),
        counts.kernel,
        clock::word(),
    ];
    user::write(
        kernel,
        virt,
        len,
        words.map(u64::to_le_bytes).as_flattened(),
    )
}

/// `Usage`, likewise.
pub fn usage(kernel: &mut Kernel, space: u64, virt: u64, len: u64) -> Result<u64, Error> {
    let index = kernel.system.space_or_own(space, 0)?;
    let words = words(kernel.system.space(index));
    user::write(
        kernel,
        virt,
        len,
        words.map(u64::to_le_bytes).as_flattened(),
    )
}

/// The words of `Usage`.
pub fn words(space: &Space) -> [u64; 5] {
    let handles = space.handles.used().count() as u64;
    [
        u64::from(space.threads) | handles << 32,
        space.pages,
        space.quota,
        status(space.life),
        space.overhead,
    ]
}

/// `STATUS_*` of a process that somebody has a handle to.
pub fn status(life: Life) -> u64 {
    match life {
        Life::Dead(status) => status,
        Life::Alive | Life::Free => number::STATUS_RUNS,
    }
}
