//! Hyper-V hypercalls: encodings, status, and the visibility change. Source: TLFS 6.0b, 3.

use crate::error::{GuestFault, HostFault, Result, guest, host};
use crate::traits::Hypercall;
use tessera_defs::hyperv::*;
use tessera_defs::x86::PAGE_SIZE;

/// Pages in one visibility hypercall: what one input page holds.
pub const MAX_PAGES: usize = (PAGE_SIZE as usize - VISIBILITY_HEADER) / 8;
/// Pages in one visibility hypercall whose input travels in a GHCB frame.
pub const MAX_PAGES_GHCB: usize = (tessera_defs::snp::ghcb::SHARED_BUFFER - VISIBILITY_HEADER) / 8;
/// Reps in an input value: 12 bits.
const REP_MASK: u64 = 0xFFF;

/// Hypercall input value of `code` with `reps` reps from 0.
pub const fn control(code: u16, reps: u16) -> u64 {
    code as u64 | (reps as u64 & REP_MASK) << HYPERCALL_REP_COUNT_SHIFT
}

/// Checks a hypercall's result value: status 15:0, reps completed 43:32, the rest zero.
/// Errors: `HvStatus`, `OutOfRange`, `NoProgress` where success comes with missing reps.
pub fn check(control: u64, result: u64) -> Result<()> {
    let request = control & 0xFFFF;
    if result & !(0xFFFF | REP_MASK << HYPERCALL_REP_COUNT_SHIFT) != 0 {
        return host(HostFault::OutOfRange {
            request,
            value: result,
        });
    }
    match result as u16 {
        HV_STATUS_SUCCESS => {}
        status => return host(HostFault::HvStatus(status)),
    }
    let done = result >> HYPERCALL_REP_COUNT_SHIFT & REP_MASK;
    if done != control >> HYPERCALL_REP_COUNT_SHIFT & REP_MASK {
        return host(HostFault::NoProgress { request });
    }
    Ok(())
}

/// Writes the input of the visibility hypercall for `gpas` (bytes, 4 KiB aligned, no shared
/// bit) into `input`; bytes written, and the hypercall input value.
/// Errors: `BadLength`, `BadAddress`.
pub fn visibility_input(input: &mut [u8], gpas: &[u64], shared: bool) -> Result<(usize, u64)> {
    let len = VISIBILITY_HEADER + gpas.len() * 8;
    if gpas.is_empty() || gpas.len() > MAX_PAGES || input.len() < len {
        return guest(GuestFault::BadLength(gpas.len()));
    }
    let visibility = if shared {
        VISIBILITY_SHARED
    } else {
        VISIBILITY_PRIVATE
    };
    input[..8].copy_from_slice(&PARTITION_SELF.to_le_bytes());
    input[8..16].copy_from_slice(&u64::from(visibility).to_le_bytes());
    for (room, gpa) in input[VISIBILITY_HEADER..len].chunks_exact_mut(8).zip(gpas) {
        if gpa % PAGE_SIZE != 0 {
            return guest(GuestFault::BadAddress(*gpa));
        }
        room.copy_from_slice(&(gpa / PAGE_SIZE).to_le_bytes());
    }
    Ok((
        len,
        control(
            HVCALL_MODIFY_SPARSE_GPA_PAGE_HOST_VISIBILITY,
            gpas.len() as u16,
        ),
    ))
}

/// Writes the input of HvCallSetVpRegisters for VTL 0 of the caller's own processor into `input`: bytes written, and the
/// hypercall input value. Errors: `BadLength`.
pub fn registers_input(input: &mut [u8], registers: &[(u32, u64)]) -> Result<(usize, u64)> {
    let len = SET_REGISTERS_HEADER + registers.len() * SET_REGISTERS_ENTRY;
    let Some(input) = input.get_mut(..len).filter(|_| !registers.is_empty()) else {
        return guest(GuestFault::BadLength(registers.len()));
    };
    input.fill(0);
    let (header, entries) = input.split_at_mut(SET_REGISTERS_HEADER);
    header[..8].copy_from_slice(&PARTITION_SELF.to_le_bytes());
    header[8..12].copy_from_slice(&VP_SELF.to_le_bytes());
    header[12] = VTL0;
    let entries = entries.chunks_exact_mut(SET_REGISTERS_ENTRY);
    for (entry, (name, value)) in entries.zip(registers) {
        entry[..4].copy_from_slice(&name.to_le_bytes());
        entry[16..24].copy_from_slice(&value.to_le_bytes());
    }
    Ok((
        len,
        control(HVCALL_SET_VP_REGISTERS, registers.len() as u16),
    ))
}

/// What the input of a visibility hypercall asks for: the page at index `i` is
/// `VisibilityRequest::gpa(i)`. For a paravisor that serves the call.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct VisibilityRequest<'a> {
    /// Shared (3) or private (0).
    pub shared: bool,
    pages: &'a [u8],
}

impl<'a> VisibilityRequest<'a> {
    /// Reads an input of `control`. Errors: `BadValue`, `BadLength`: the caller (a guest).
    pub fn parse(control_value: u64, input: &'a [u8]) -> Result<Self> {
        let reps = (control_value >> HYPERCALL_REP_COUNT_SHIFT & REP_MASK) as usize;
        let code = HVCALL_MODIFY_SPARSE_GPA_PAGE_HOST_VISIBILITY;
        if control_value != control(code, reps as u16) {
            return guest(GuestFault::BadValue(control_value));
        }
        let end = VISIBILITY_HEADER + reps * 8;
        if reps == 0 || reps > MAX_PAGES || input.len() < end {
            return guest(GuestFault::BadLength(reps));
        }
        let word = |at: usize| input[at..at + 8].try_into().map_or(0, u64::from_le_bytes);
        let shared = match (word(0), word(8)) {
            (PARTITION_SELF, v) if v == u64::from(VISIBILITY_SHARED) => true,
            (PARTITION_SELF, v) if v == u64::from(VISIBILITY_PRIVATE) => false,
            (_, other) => return guest(GuestFault::BadValue(other)),
        };
        Ok(Self {
            shared,
            pages: &input[VISIBILITY_HEADER..end],
        })
    }

    /// Guest physical addresses in bytes; `None` for a page number that has no address.
    pub fn gpas(self) -> impl Iterator<Item = Option<u64>> + 'a {
        self.pages.chunks_exact(8).map(|bytes| {
            bytes
                .try_into()
                .map_or(0, u64::from_le_bytes)
                .checked_mul(PAGE_SIZE)
        })
    }
}

/// Makes the visibility hypercall whose input stands at `input_gpa` already.
pub fn change_visibility(call: &mut impl Hypercall, control: u64, input_gpa: u64) -> Result<()> {
    check(control, call.hypercall(control, input_gpa, 0))
}
