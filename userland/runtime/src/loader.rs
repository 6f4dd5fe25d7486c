//! From a program's file to a process, for those who start processes.
#![allow(unsafe_code)] // fills regions through a window of this process

use crate::handle::Handle;
use crate::process;
use tessera_abi::error::Error;
use tessera_abi::number::{MAP_EXECUTE, MAP_READ, MAP_WRITE, REGION_PAGES};
use tessera_handoff::bundle::Bundle;
use tessera_handoff::layout::{BUNDLE_VIRT, USER_STACK_TOP};
use tessera_objects::elf::{Elf, Segment};

const PAGE: u64 = 4096;
const STACK_PAGES: u64 = 4;
/// Where a region is mapped while it is filled.
const WINDOW: u64 = 0x0000_3000_0000_0000;

/// The bundle of `len` bytes, as the kernel mapped it for the first process, which it told the
/// length. Any other process faults.
pub fn bundle(len: u64) -> Option<Bundle<'static>> {
    // SAFETY: the kernel maps so many bytes there, read-only, for the life of the first process;
    // elsewhere nothing can be mapped there but by that process.
    let bytes = unsafe { core::slice::from_raw_parts(BUNDLE_VIRT as *const u8, len as usize) };
    Bundle::parse(bytes)
}

/// Loads an ELF file into a process, with a stack; the entry point and the top of the stack. What
/// it needs is the process' own and paid by it. Errors: `BadArgument` for a file that is no
/// program, and those of the calls.
pub fn load(space: Handle, file: &[u8]) -> Result<(u64, u64), Error> {
    let elf = Elf::parse(file).map_err(|_| Error::BadArgument)?;
    for segment in elf.segments() {
        place(space, &segment.map_err(|_| Error::BadArgument)?)?;
    }
    let stack = process::region(STACK_PAGES, space)?;
    let bottom = USER_STACK_TOP - STACK_PAGES * PAGE;
    process::map_into(space, stack, bottom, MAP_WRITE)?;
    stack.close()?;
    // As after a CALL: 8 below a multiple of 16.
    Ok((elf.entry, USER_STACK_TOP - 8))
}

fn place(space: Handle, segment: &Segment<'_>) -> Result<(), Error> {
    let access = match (segment.write, segment.execute) {
        (true, _) => MAP_WRITE,
        (_, true) => MAP_EXECUTE,
        _ => MAP_READ,
    };
    let first = segment.virt / PAGE * PAGE;
    let skip = segment.virt - first;
    let pages = (skip + segment.len).div_ceil(PAGE);
    if pages > REGION_PAGES || skip + segment.data.len() as u64 > pages * PAGE {
        return Err(Error::BadArgument);
    }
    let region = process::region(pages, space)?;
    // SAFETY: the window is used here only, and the region is nobody else's yet.
    unsafe {
        process::map(region, WINDOW, MAP_WRITE)?;
        let to = (WINDOW + skip) as *mut u8;
        to.copy_from_nonoverlapping(segment.data.as_ptr(), segment.data.len());
        process::unmap(WINDOW)?;
    }
    process::map_into(space, region, first, access)?;
    region.close()
}
