//! Evidence for a process, and the system's state for one that may read it.

use super::entry::Arguments;
use super::{system, user};
use crate::cpu::Kernel;
use crate::{console, host, interrupts, memory, timer};
use tessera_abi::{error::Error, kind::Kind, number, rights};
use tessera_isolation::strategy::traits::NoEvidence;
use tessera_objects::system::space::{Life, SPACES};

#[cold]
#[inline(never)]
pub fn evidence(
    kernel: &mut Kernel,
    handle: u64,
    data: u64,
    into: u64,
    len: u64,
) -> Result<u64, Error> {
    kernel.system.object(handle, Kind::Evidence, rights::SEND)?;
    let mut asked = [0; 64];
    user::read(kernel, data, &mut asked)?;
    let mut buffer = [0; number::EVIDENCE_MAX];
    let room = buffer.get_mut(..len as usize).ok_or(Error::TooLong)?;
    user::check(kernel, into, len)?;
    let made = host::attestation(|strategy| strategy.evidence(&asked, room));
    let made = made.map_err(|why| match why {
        NoEvidence::Unattested => Error::Unattested,
        NoEvidence::NoRoom => Error::TooShort,
        NoEvidence::NotBound | NoEvidence::Refused(_) => Error::HostRefused,
    })?;
    user::write(kernel, into, len, &buffer[..made.length])?;
    Ok(u64::from(made.kind) << 32 | made.length as u64)
}

#[cold]
#[inline(never)]
pub fn inspect(kernel: &mut Kernel, arguments: &Arguments) -> Result<u64, Error> {
    let [handle, what, index, into, len, _] = *arguments;
    kernel
        .system
        .object(handle, Kind::Inspection, rights::RECEIVE)?;
    match what {
        number::INSPECT_LOG if index == 0 => {
            let mut text = [0; console::RING];
            let bytes = console::log(&mut text);
            let bytes = &bytes[bytes.len().saturating_sub(len as usize)..];
            user::write(kernel, into, len, bytes)
        }
        number::INSPECT_PROCESS if index < SPACES as u64 => process(kernel, index, into, len),
        number::INSPECT_INTERRUPT => interrupt(kernel, index, into, len),
        _ => Err(Error::BadArgument),
    }
}

pub fn accept(kernel: &mut Kernel, handle: u64, pages: u64) -> Result<u64, Error> {
    kernel
        .system
        .object(handle, Kind::Inspection, rights::SEND)?;
    memory::want(pages);
    Ok(memory::counts().accepted)
}

/// `ProcessInfo`, whose fields follow each other without padding.
fn process(kernel: &mut Kernel, index: u64, into: u64, len: u64) -> Result<u64, Error> {
    let space = kernel.system.space(index as u8);
    if space.life == Life::Free {
        return Ok(0);
    }
    let mut bytes = [0; 56];
    bytes[..16].copy_from_slice(&space.name);
    bytes[16..].copy_from_slice(system::words(space).map(u64::to_le_bytes).as_flattened());
    user::write(kernel, into, len, &bytes)
}

/// `InterruptInfo`, likewise.
fn interrupt(kernel: &mut Kernel, index: u64, into: u64, len: u64) -> Result<u64, Error> {
    let number = usize::try_from(index).map_err(|_| Error::BadArgument)?;
    let known = kernel.system.interrupts.get(number);
    let known = *known.ok_or(Error::BadArgument)?;
    let words = match index {
        0 => [timer::unasked(), 0],
        _ if !known.used() => return Ok(0),
        _ => [
            known.count,
            u64::from(known.waits) | u64::from(interrupts::vector(index as u8)) << 32,
        ],
    };
    user::write(
        kernel,
        into,
        len,
        words.map(u64::to_le_bytes).as_flattened(),
    )
}
