//! Bytes to and from the running process. Pages that are not there yet come as by a touch; where
//! that takes a pager, the thread waits for it and makes its call again.

use crate::cpu::Kernel;
use crate::pages::Touched;
use crate::spaces::{self, PAGE};
use crate::windows;
use tessera_abi::error::Error;
use tessera_objects::system::mapping::{Touch, USER_END};

/// Copies from the process. Errors: `BadAddress`.
pub fn read(kernel: &mut Kernel, virt: u64, into: &mut [u8]) -> Result<(), Error> {
    reach(kernel, virt, into.len() as u64, Touch::Read)?;
    windows::copy_from_user(virt, into);
    Ok(())
}

/// Copies all of `from` to a buffer of `len` bytes; how many. Errors: `TooShort`, `BadAddress`.
pub fn write(kernel: &mut Kernel, virt: u64, len: u64, from: &[u8]) -> Result<u64, Error> {
    let wanted = from.len() as u64;
    if len < wanted {
        return Err(Error::TooShort);
    }
    reach(kernel, virt, wanted, Touch::Write)?;
    windows::copy_to_user(virt, from);
    Ok(wanted)
}

/// Whether the process may have `len` bytes written there. Errors: `BadAddress`; the thread waits
/// then, perhaps, for a page.
pub fn check(kernel: &mut Kernel, virt: u64, len: u64) -> Result<(), Error> {
    reach(kernel, virt, len, Touch::Write)
}

/// Sees to it that a range is the running process' to touch so. Errors: `BadAddress`; the thread
/// waits then, perhaps, for a page.
fn reach(kernel: &mut Kernel, virt: u64, len: u64, touch: Touch) -> Result<(), Error> {
    let end = virt.checked_add(len).filter(|end| *end <= USER_END);
    let end = end.ok_or(Error::BadAddress)?;
    let me = kernel.system.current();
    let cr3 = kernel.system.thread(me).tables;
    for page in (virt & !(PAGE - 1)..end).step_by(PAGE as usize) {
        if spaces::user_page(kernel.regions.bits, cr3, page, touch == Touch::Write) {
            continue;
        }
        if kernel.touch(page, touch) != Touched::There {
            return Err(Error::BadAddress);
        }
    }
    Ok(())
}
