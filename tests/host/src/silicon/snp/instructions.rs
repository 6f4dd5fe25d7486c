//! PVALIDATE and RMPADJUST. Source: APM vol. 3 (24594), the instructions' pages.

use super::{access::Fault, rmp::Rmp};
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
    let mut unchanged = true;
    for gfn in gfn..gfn + count {
        let frame = owned(rmp, memory, gfn)?;
        let Some(entry) = rmp.entry(frame) else {
            continue;
        };
        if entry.validated != operands.validate {
            entry.validated = operands.validate;
            entry.permissions = [code::PERM_ALL, 0, 0, 0];
            entry.vmsa = false;
            unchanged = false;
        }
    }
    Ok((code::SUCCESS, unchanged))
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
    if target <= vmpl || vmsa && vmpl != 0 {
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
    for gfn in gfn..gfn + count {
        let frame = owned(rmp, memory, gfn)?;
        if let Some(entry) = rmp.entry(frame) {
            entry.permissions[target] = wanted;
            entry.vmsa = if vmpl == 0 { vmsa } else { entry.vmsa };
        }
    }
    Ok(code::SUCCESS)
}

/// 4 KiB pages of an operand, where size and alignment are right.
fn pages(size: u32, gpa: u64) -> Option<u64> {
    match size {
        0 => gpa.is_multiple_of(4096).then_some(1),
        1 => gpa.is_multiple_of(2 << 20).then_some(512),
        _ => None,
    }
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
mod tests {
    use super::*;
    use crate::silicon::snp::access::{Outcome, View, Wants};

    fn guest() -> (Rmp, Memory) {
        let bytes: &'static mut [u8] = std::vec![0u8; (8 << 20) + 64 * 4096].leak();
        let memory = Memory::new(bytes, 8 << 20);
        let mut rmp = Rmp::new(memory.frames());
        (0x200..0x400).for_each(|gfn| rmp.update(gfn as u32, Some(gfn), false));
        (0x400..0x600).for_each(|gfn| rmp.update(gfn as u32, Some(gfn), true));
        (rmp, memory)
    }

    fn validate(rmp: &mut Rmp, memory: &Memory, gpa: u64, size: u32) -> Result<(u32, bool), Stop> {
        pvalidate(
            rmp,
            memory,
            0,
            Pvalidate {
                gpa,
                size,
                validate: true,
            },
        )
    }

    #[test]
    fn pvalidate_has_the_results_of_the_manual() {
        let (mut rmp, memory) = guest();
        assert_eq!(validate(&mut rmp, &memory, 0x20_0000, 0), Ok((0, false)));
        assert_eq!(validate(&mut rmp, &memory, 0x20_0000, 0), Ok((0, true)));
        assert_eq!(validate(&mut rmp, &memory, 0x20_0000, 1), Ok((6, false)));
        assert_eq!(validate(&mut rmp, &memory, 0x20_0008, 0), Ok((1, false)));
        assert_eq!(validate(&mut rmp, &memory, 0x20_0000, 2), Ok((1, false)));
        assert_eq!(validate(&mut rmp, &memory, 0x40_0000, 1), Ok((0, false)));
        assert_eq!(
            validate(&mut rmp, &memory, 0x40_1000, 0),
            Err(Stop::Host(Fault::Size))
        );
        assert_eq!(
            validate(&mut rmp, &memory, 0x60_0000, 0),
            Err(Stop::Host(Fault::NotAssigned))
        );
        let lower = Pvalidate {
            gpa: 0x20_0000,
            size: 0,
            validate: true,
        };
        assert_eq!(pvalidate(&mut rmp, &memory, 2, lower), Ok((2, false)));
    }

    #[test]
    fn rmpadjust_obeys_the_order_of_vmpls() {
        let (mut rmp, memory) = guest();
        let mut adjust =
            |vmpl, attributes| rmpadjust(&mut rmp, &memory, vmpl, 0x20_0000, 0, attributes);
        assert_eq!(adjust(0, 0xF02), Err(Stop::NotValidated));
        validate(&mut rmp, &memory, 0x20_0000, 0).unwrap();
        let mut adjust =
            |vmpl, attributes| rmpadjust(&mut rmp, &memory, vmpl, 0x20_0000, 0, attributes);
        assert_eq!(adjust(0, 0x300), Ok(2), "own VMPL");
        assert_eq!(adjust(2, 0x301), Ok(2), "a higher VMPL");
        assert_eq!(adjust(0, 0x304), Ok(1), "no VMPL 4");
        assert_eq!(adjust(0, 0x302), Ok(0));
        assert_eq!(adjust(2, 0xF03), Ok(2), "more than one's own");
        assert_eq!(adjust(0, 0x1_0302), Ok(0));
    }

    #[test]
    fn a_swapped_frame_is_not_the_guests_and_a_fresh_one_not_validated() {
        let (mut rmp, mut memory) = guest();
        validate(&mut rmp, &memory, 0x20_0000, 0).unwrap();
        let view = View {
            vmpl: 0,
            vtom: None,
            unpaged: false,
        };
        let private = 0x20_0000 | 1 << 51;
        let see =
            |rmp: &Rmp, memory: &Memory, gpa| view.resolve(rmp, memory, gpa, Wants::default());
        assert!(matches!(
            see(&rmp, &memory, private),
            Outcome::Map(0x200, _)
        ));
        assert_eq!(
            see(&rmp, &memory, 0x20_0000),
            Outcome::Host(Fault::Assigned)
        );
        memory.map(0x200, Some(0x201));
        assert_eq!(
            see(&rmp, &memory, private),
            Outcome::Host(Fault::NotAssigned)
        );
        rmp.update(0x201, Some(0x200), false);
        assert_eq!(see(&rmp, &memory, private), Outcome::NotValidated);
        let lower = View {
            vmpl: 2,
            vtom: Some(1 << 46),
            unpaged: false,
        };
        memory.map(0x200, Some(0x200));
        let denied = lower.resolve(&rmp, &memory, 0x20_0000, Wants::default());
        assert_eq!(denied, Outcome::Host(Fault::Permission));
    }
}
