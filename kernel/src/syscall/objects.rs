//! Making objects, and ending them.

use super::entry::Arguments;
use super::{devices, system};
use crate::context::Registers;
use crate::cpu::Kernel;
use crate::{process, spaces};
use tessera_abi::{error::Error, kind::Kind, number, rights};
use tessera_hw::user;
use tessera_objects::system::mapping::USER_END;

pub fn create(kernel: &mut Kernel, arguments: &Arguments) -> Result<u64, Error> {
    let [kind, a, b, c, ..] = *arguments;
    match Kind::from_number(kind).ok_or(Error::BadArgument)? {
        kind @ (Kind::Endpoint | Kind::Notification) => {
            kernel.system.create_object(kind).map(u64::from)
        }
        Kind::Region => region(kernel, a, b, c),
        Kind::AddressSpace => space(kernel, arguments),
        Kind::Thread => thread(kernel, arguments),
        kind => devices::create(kernel, kind, a, b, c),
    }
}

fn region(kernel: &mut Kernel, pages: u64, owner: u64, origin: u64) -> Result<u64, Error> {
    if origin == number::REGION_SHARED && kernel.system.current_space() != process::FIRST {
        return Err(Error::NoRight);
    }
    let owner = kernel.system.space_or_own(owner, rights::MANAGE)?;
    let (handle, _) = kernel.system.create_region(pages, owner, origin)?;
    Ok(handle.into())
}

fn space(kernel: &mut Kernel, arguments: &Arguments) -> Result<u64, Error> {
    let [_, quota, watcher, bits, low, high] = *arguments;
    let name = (u128::from(low) | u128::from(high) << 64).to_le_bytes();
    if !name
        .iter()
        .all(|byte| *byte == 0 || byte.is_ascii_graphic())
    {
        return Err(Error::BadArgument);
    }
    let tables = spaces::create().ok_or(Error::OutOfMemory)?;
    let made = kernel.system.create_space(quota, watcher, bits, tables);
    let handle = made.inspect_err(|_| spaces::destroy(tables))?.into();
    let index = kernel.system.object(handle, Kind::AddressSpace, 0)?;
    kernel.system.space(index).name = name;
    Ok(handle)
}

fn thread(kernel: &mut Kernel, arguments: &Arguments) -> Result<u64, Error> {
    let [_, space, entry, stack, priority, argument] = *arguments;
    let space = kernel.system.space_or_own(space, rights::MANAGE)?;
    if entry >= USER_END || stack > USER_END {
        return Err(Error::BadArgument);
    }
    let mut frame = user::new_frame(entry, stack);
    frame.rdi = argument;
    let registers = Registers(frame);
    let handle = kernel.system.start_thread(space, registers, priority)?;
    let index = kernel.system.started(handle);
    kernel.reset_vectors(index);
    Ok(handle.into())
}

pub fn close(kernel: &mut Kernel, handle: u64) -> Result<u64, Error> {
    let (system, mut ends) = kernel.ending();
    let result = system.close(handle, &mut ends);
    kernel.forget_dead();
    result
}

pub fn kill(kernel: &mut Kernel, handle: u64) -> Result<u64, Error> {
    let (system, mut ends) = kernel.ending();
    let result = system.kill(handle, &mut ends);
    kernel.forget_dead();
    result
}

pub fn cancel(kernel: &mut Kernel, handle: u64) -> Result<u64, Error> {
    let thread = kernel.system.object(handle, Kind::Thread, rights::MANAGE)?;
    kernel.system.cancel(thread);
    Ok(0)
}

pub fn status(kernel: &mut Kernel, handle: u64) -> Result<u64, Error> {
    let index = kernel.system.object(handle, Kind::AddressSpace, 0)?;
    Ok(system::status(kernel.system.space(index).life))
}

pub fn set_tls(kernel: &mut Kernel, base: u64) -> Result<u64, Error> {
    if base >= USER_END {
        return Err(Error::BadAddress);
    }
    kernel.set_tls(base);
    Ok(0)
}

const _: () = assert!(number::PRIORITY_MAX < 32);
