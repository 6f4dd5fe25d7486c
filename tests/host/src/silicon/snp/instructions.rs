//! PVALIDATE, RMPADJUST and RMPQUERY. Source: APM vol. 3 (24594), the instructions' pages.
//!
//! FAIL_INUSE never comes: no two processors execute at once here.

use super::{
    access::Fault,
    rmp::{Entry, Rmp},
};
use crate::memory::frames::{Memory, PAGE};
use tessera_defs::snp::rmp as code;

/// What stops an instruction before it has a result.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Stop {
    /// Nested page fault to the host.
    Host(Fault),
    /// #VC with PAGE_NOT_VALIDATED.
    NotValidated,
}

/// Operands of PVALIDATE after translation.
#[derive(Clone, Copy, Debug)]
pub struct Pvalidate {
    /// Guest-physical address, without C-bit.
    pub gpa: u64,
    /// ECX.
    pub size: u32,
    /// EDX bit 0.
    pub validate: bool,
}

/// PVALIDATE by `vmpl`: EAX and CF ("the entry was not changed").
pub fn pvalidate(
    rmp: &mut Rmp,
    memory: &Memory,
    vmpl: usize,
    operands: Pvalidate,
) -> Result<(u32, bool), Stop> {
    let Some(count) = pages(operands.size, operands.gpa) else {
        return Ok((code::FAIL_INPUT, false));
    };
    if vmpl != 0 {
        return Ok((code::FAIL_PERMISSION, false));
    }
    let gfn = operands.gpa / PAGE as u64;
    if let Some(result) = size_check(rmp, owned(rmp, memory, gfn)?, count)? {
        return Ok((result, false));
    }
    let changed = each(rmp, memory, gfn, count, |entry| {
        if entry.validated != operands.validate {
            entry.validated = operands.validate;
            entry.permissions = [code::PERM_ALL, 0, 0, 0];
            entry.vmsa = false;
        }
    })?;
    Ok((code::SUCCESS, !changed))
}

/// RMPADJUST by `vmpl`: EAX. `attributes` is RDX.
pub fn rmpadjust(
    rmp: &mut Rmp,
    memory: &Memory,
    vmpl: usize,
    gpa: u64,
    size: u32,
    attributes: u64,
) -> Result<u32, Stop> {
    let target = (attributes & 0xFF) as usize;
    let wanted = (attributes >> code::ATTR_PERM_SHIFT) as u8;
    let vmsa = attributes & code::ATTR_VMSA != 0;
    let Some(count) = pages(size, gpa) else {
        return Ok(code::FAIL_INPUT);
    };
    if target > 3 || wanted & !code::PERM_ALL != 0 || attributes >> 17 != 0 {
        return Ok(code::FAIL_INPUT);
    }
    if target <= vmpl {
        return Ok(code::FAIL_PERMISSION);
    }
    let gfn = gpa / PAGE as u64;
    let first = owned(rmp, memory, gfn)?;
    if let Some(result) = size_check(rmp, first, count)? {
        return Ok(result);
    }
    let entry = rmp.get(first);
    if !entry.validated {
        return Err(Stop::NotValidated);
    }
    if wanted & !entry.permissions[vmpl] != 0 {
        return Ok(code::FAIL_PERMISSION);
    }
    each(rmp, memory, gfn, count, |entry| {
        entry.permissions[target] = wanted;
        // Below VMPL 0 the bit is ignored.
        entry.vmsa = if vmpl == 0 { vmsa } else { entry.vmsa };
    })?;
    Ok(code::SUCCESS)
}

/// What RMPQUERY gives.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Queried {
    /// EAX.
    pub status: u32,
    /// RCX: 1 for a 2 MiB entry.
    pub size: u64,
    /// RDX: the target VMPL with its permissions and the VMSA bit, as RMPADJUST takes them.
    pub attributes: u64,
}

/// RMPQUERY by `vmpl` of a target VMPL, which is RDX 7:0; what fails leaves RCX and RDX as they are.
pub fn rmpquery(
    rmp: &Rmp,
    memory: &Memory,
    vmpl: usize,
    gpa: u64,
    target: usize,
) -> Result<Queried, Stop> {
    let failed = |status| Queried {
        status,
        ..Queried::default()
    };
    if target > 3 {
        return Ok(failed(code::FAIL_INPUT));
    }
    if target < vmpl {
        return Ok(failed(code::FAIL_PERMISSION));
    }
    let entry = rmp.get(owned(rmp, memory, gpa / PAGE as u64)?);
    if !entry.validated {
        return Err(Stop::NotValidated);
    }
    let permissions = u64::from(entry.permissions[target]) << code::ATTR_PERM_SHIFT;
    let vmsa = if entry.vmsa { code::ATTR_VMSA } else { 0 };
    Ok(Queried {
        status: code::SUCCESS,
        size: entry.large.into(),
        attributes: target as u64 | permissions | vmsa,
    })
}

/// 4 KiB pages of an operand, where size and alignment are right.
fn pages(size: u32, gpa: u64) -> Option<u64> {
    match size {
        0 => gpa.is_multiple_of(4096).then_some(1),
        1 => gpa.is_multiple_of(2 << 20).then_some(512),
        _ => None,
    }
}

/// Changes the entries of `count` pages, at once where 512 follow each other; whether any is another
/// now.
fn each(
    rmp: &mut Rmp,
    memory: &Memory,
    gfn: u64,
    count: u64,
    change: impl Fn(&mut Entry),
) -> Result<bool, Stop> {
    let block = memory.run(gfn).filter(|_| count == 512);
    if let Some((frame, old)) = block.and_then(|frame| Some((frame, rmp.run(frame)?))) {
        owned(rmp, memory, gfn)?;
        let mut entry = old;
        change(&mut entry);
        rmp.set_run(frame, entry);
        return Ok(entry != old);
    }
    let mut changed = false;
    for gfn in gfn..gfn + count {
        let frame = owned(rmp, memory, gfn)?;
        let old = rmp.get(frame);
        let mut entry = old;
        change(&mut entry);
        rmp.set(frame, entry);
        changed |= entry != old;
    }
    Ok(changed)
}

fn owned(rmp: &Rmp, memory: &Memory, gfn: u64) -> Result<u32, Stop> {
    let unmapped = Stop::Host(Fault::Unmapped { private: true });
    let frame = memory.frame(gfn).ok_or(unmapped)?;
    let entry = rmp.get(frame);
    match entry.assigned && entry.gfn == gfn {
        true => Ok(frame),
        false => Err(Stop::Host(Fault::NotAssigned)),
    }
}

/// A small entry under a large operand is a result; a large entry under a small operand is the
/// host's to smash.
fn size_check(rmp: &Rmp, frame: u32, count: u64) -> Result<Option<u32>, Stop> {
    match (rmp.get(frame).large, count) {
        (false, 512) => Ok(Some(code::FAIL_SIZEMISMATCH)),
        (true, 1) => Err(Stop::Host(Fault::Size)),
        _ => Ok(None),
    }
}

#[cfg(test)]
#[path = "instructions_tests.rs"]
mod tests;
