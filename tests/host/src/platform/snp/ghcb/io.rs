//! Ports, strings and device memory. Source: 56421 rev. 2.04, table 6 and 4.1.2 to 4.1.4.
//! Protocol version 2 has SW_SCRATCH in the shared buffer; version 1's area outside is refused.

use super::{DONE, RAX, SCRATCH, Served, Stop, need, set_valid};
use crate::vmm::Vmm;
use tessera_defs::snp::{
    ghcb::{self, GhcbPage, exit, malformed},
    vc,
};

/// Place in the shared buffer of the `len` bytes that SW_SCRATCH names. Errors: they are not all
/// there.
pub fn scratch(gpa: u64, request: &GhcbPage, len: usize) -> Result<usize, Stop> {
    need(request, &[SCRATCH])?;
    let start = gpa + ghcb::SHARED_BUFFER_OFFSET as u64;
    let at = request.sw_scratch.checked_sub(start);
    let at = at.and_then(|at| usize::try_from(at).ok());
    let end = at.and_then(|at| at.checked_add(len));
    match (at, end) {
        (Some(at), Some(end)) if end <= ghcb::SHARED_BUFFER => Ok(at),
        _ => Err(Stop::Malformed(malformed::SCRATCH)),
    }
}

/// IN, OUT, INS and OUTS.
pub fn port(vmm: &mut Vmm, gpa: u64, request: &GhcbPage, page: &mut GhcbPage) -> Served {
    let info = request.sw_exit_info1;
    let (port, size) = ((info >> vc::io::PORT_SHIFT) as u16, (info >> 4 & 7) as u8);
    if !matches!(size, 1 | 2 | 4) {
        return Err(Stop::Malformed(malformed::INPUT));
    }
    if info & vc::io::STRING != 0 {
        return string(vmm, gpa, (port, size), request, page);
    }
    if info & vc::io::IN != 0 {
        page.rax = vmm.port_in(port, size).into();
        set_valid(page, RAX);
        return DONE;
    }
    need(request, &[RAX])?;
    vmm.port_out(port, size, request.rax as u32);
    DONE
}

/// As many elements as SW_EXITINFO2 says, to or from the shared buffer. Where the string stands, in which
/// direction, and what is left of RCX is the guest's to know.
fn string(
    vmm: &mut Vmm,
    gpa: u64,
    (port, size): (u16, u8),
    request: &GhcbPage,
    page: &mut GhcbPage,
) -> Served {
    let width = usize::from(size);
    let count = usize::try_from(request.sw_exit_info2).unwrap_or(usize::MAX);
    let at = scratch(gpa, request, count.saturating_mul(width))?;
    let bytes = &mut page.shared_buffer[at..at + count * width];
    for element in bytes.chunks_exact_mut(width) {
        if request.sw_exit_info1 & vc::io::IN != 0 {
            let value = vmm.port_in(port, size).to_le_bytes();
            element.copy_from_slice(&value[..width]);
        } else {
            let mut value = [0; 4];
            value[..width].copy_from_slice(element);
            vmm.port_out(port, size, u32::from_le_bytes(value));
        }
    }
    DONE
}

/// Device memory, eight bytes at a time.
pub fn mmio(vmm: &mut Vmm, gpa: u64, request: &GhcbPage, page: &mut GhcbPage) -> Served {
    let len = usize::try_from(request.sw_exit_info2).unwrap_or(usize::MAX);
    let at = scratch(gpa, request, len)?;
    let bytes = &mut page.shared_buffer[at..at + len];
    let mut place = request.sw_exit_info1;
    for part in bytes.chunks_mut(8) {
        if request.sw_exit_code == exit::MMIO_READ {
            let value = vmm.mmio_read(place).unwrap_or(u64::MAX).to_le_bytes();
            part.copy_from_slice(&value[..part.len()]);
        } else {
            let mut word = [0; 8];
            word[..part.len()].copy_from_slice(part);
            // A write where no device is goes nowhere, as on a real bus.
            let _ = vmm.mmio_write(place, u64::from_le_bytes(word));
        }
        place = place.wrapping_add(part.len() as u64);
    }
    DONE
}
