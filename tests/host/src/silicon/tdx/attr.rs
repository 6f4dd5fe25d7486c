//! TDG.MEM.PAGE.ATTR.RD and TDG.MEM.PAGE.ATTR.WR. Source: 348551, the leaves' pages; 354807,
//! "L2 page aliases".

use super::{
    accept::LARGE,
    sept::{Entry, State},
    td::Td,
};
use crate::{memory::frames::PAGE, svm::vcpu::reg};
use tessera_defs::tdx::{
    page::{self, attr},
    status,
};

/// What a leaf comes to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Attr {
    /// Completion status.
    Status(u64),
    /// No page: exit to the host.
    Missing {
        /// First page.
        gfn: u64,
        /// 2 MiB.
        large: bool,
    },
    /// A 2 MiB page where the TD names 4 KiB: exit to the host, which may split it.
    Demote(u64),
}

/// Bits of a VM that may ever be set: R, W, Xs, Xu, VGP, PWA, SSS.
const LEGAL: u64 = 0x7F | attr::VALID;
const FIELD: u64 = 0xFFFF;

/// ATTR.RD: RCX GPA; RCX mapping, RDX attributes.
pub fn read(td: &Td, regs: &mut [u64; 16]) -> Attr {
    let gpa = regs[reg::RCX];
    (regs[reg::RCX], regs[reg::RDX]) = (0, 0);
    if gpa >> page::SHARED_BIT != 0 {
        return invalid(status::OPERAND_RCX);
    }
    let entry = td.sept.get(gpa / PAGE as u64);
    if entry.state == State::Free {
        return Attr::Missing {
            gfn: gpa / PAGE as u64,
            large: false,
        };
    }
    let size = if entry.large { LARGE } else { 1 } * PAGE as u64;
    let start = gpa & !(size - 1);
    regs[reg::RCX] = start | u64::from(entry.large) | pending(entry);
    regs[reg::RDX] = u64::from(entry.l2) << attr::L2_VM1_SHIFT;
    Attr::Status(status::SUCCESS)
}

/// ATTR.WR: RCX GPA and level, RDX attributes, R8 mask; RCX mapping, RDX attributes.
pub fn write(td: &mut Td, regs: &mut [u64; 16]) -> Attr {
    let (mapping, new, mask) = (regs[reg::RCX], regs[reg::RDX], regs[reg::R8]);
    (regs[reg::RCX], regs[reg::RDX]) = (0, 0);
    if let Some(operand) = fields(td, new, mask) {
        return invalid(operand);
    }
    let (gpa, level) = (mapping & !0xFFF, mapping & 7);
    let count = if level == page::LEVEL_2M { LARGE } else { 1 };
    if mapping & 0xFF8 != 0
        || level > page::LEVEL_2M
        || !gpa.is_multiple_of(count * PAGE as u64)
        || gpa >> page::SHARED_BIT != 0
    {
        return invalid(status::OPERAND_RCX);
    }
    let first = gpa / PAGE as u64;
    let large = level == page::LEVEL_2M;
    if let Some(other) = unfit(td, first, count, large) {
        return other;
    }
    let shift = attr::L2_VM1_SHIFT;
    let (new, mask) = (new >> shift & FIELD, mask >> shift & FIELD);
    let old = u64::from(td.sept.get(first).l2);
    let set = match combined(old, new, mask) {
        Ok(set) => set,
        Err(kept) => {
            regs[reg::RDX] = kept << shift;
            return Attr::Status(status::PAGE_ATTR_INVALID);
        }
    };
    if let Some(alias) = set.alias {
        let change = |entry: &mut Entry| entry.l2 = alias as u16;
        td.sept.change(first, count, change);
    }
    td.l2.flush |= mask & attr::MASK_INV_EPT != 0;
    regs[reg::RCX] = mapping | pending(td.sept.get(first));
    regs[reg::RDX] = set.shown << shift;
    Attr::Status(status::SUCCESS)
}

fn invalid(operand: u64) -> Attr {
    Attr::Status(status::OPERAND_INVALID | operand)
}

fn pending(entry: Entry) -> u64 {
    match entry.state {
        State::Pending(_) => page::MAPPING_PENDING,
        _ => 0,
    }
}

/// The operand that is wrong: fields of L1 and of VMs that do not exist, and of VM 1 without
/// VALID, must be 0.
fn fields(td: &Td, new: u64, mask: u64) -> Option<u64> {
    for vm in 0..4 {
        let (new, mask) = (new >> (vm * 16) & FIELD, mask >> (vm * 16) & FIELD);
        if vm == 0 || vm > td.l2_vms {
            if new != 0 {
                return Some(status::OPERAND_RDX);
            }
            if mask != 0 {
                return Some(status::OPERAND_R8);
            }
        } else if new != 0 && new & attr::VALID == 0 {
            return Some(status::OPERAND_RDX);
        }
    }
    None
}

/// What stands in the way: no page, or one of another size.
fn unfit(td: &Td, first: u64, count: u64, large: bool) -> Option<Attr> {
    let all = |holds: fn(Entry) -> bool| td.sept.all(first, count, holds);
    if all(|entry| entry.state == State::Free) {
        return Some(Attr::Missing { gfn: first, large });
    }
    if large && !all(|entry| entry.large) {
        return Some(Attr::Status(status::PAGE_SIZE_MISMATCH | page::LEVEL_2M));
    }
    (!large && td.sept.get(first).large).then_some(Attr::Demote(first & !(LARGE - 1)))
}

struct Set {
    /// What the alias becomes; `None` leaves it as it is.
    alias: Option<u64>,
    /// What RDX says.
    shown: u64,
}

/// Combines old and new attributes of a VM. Errors: the attributes as they stay.
fn combined(old: u64, new: u64, mask: u64) -> Result<Set, u64> {
    if new & attr::VALID == 0 {
        return Ok(Set {
            alias: None,
            shown: 0,
        });
    }
    let mask = mask | attr::VALID;
    let masked = new & mask;
    let value = old & !mask | masked;
    if value & attr::RWX != 0 {
        return match legal(value) {
            true => Ok(Set {
                alias: Some(value),
                shown: value,
            }),
            false => Err(old),
        };
    }
    let aliased = old & attr::RWX != 0;
    Ok(Set {
        alias: aliased.then_some(0),
        shown: if aliased { attr::VALID } else { new },
    })
}

fn legal(value: u64) -> bool {
    let needs_read = value & (attr::W | attr::PWA) != 0;
    value & !LEGAL == 0 && (!needs_read || value & attr::R != 0)
}

#[cfg(test)]
mod tests {
    use super::*;

    const VM1: u32 = attr::L2_VM1_SHIFT;
    const RWX: u64 = attr::RWX | attr::VALID;

    fn td() -> Td {
        let mut td = Td::new(2048);
        td.l2_vms = 1;
        td.sept.add(0x300, 0x300);
        td
    }

    fn set(td: &mut Td, mapping: u64, new: u64, mask: u64) -> (Attr, u64, u64) {
        let mut regs = [0; 16];
        (regs[reg::RCX], regs[reg::RDX], regs[reg::R8]) = (mapping, new, mask);
        let end = write(td, &mut regs);
        (end, regs[reg::RCX], regs[reg::RDX])
    }

    fn get(td: &Td, gpa: u64) -> (Attr, u64, u64) {
        let mut regs = [0; 16];
        regs[reg::RCX] = gpa;
        let end = read(td, &mut regs);
        (end, regs[reg::RCX], regs[reg::RDX])
    }

    const DONE: Attr = Attr::Status(0);

    #[test]
    fn attributes_are_given_changed_and_taken() {
        let mut td = td();
        assert_eq!(get(&td, 0x30_0123), (DONE, 0x30_0000, 0));
        let all = attr::RWX << VM1;
        let end = set(&mut td, 0x30_0000, RWX << VM1, all);
        assert_eq!(end, (DONE, 0x30_0000, RWX << VM1));
        assert!(!td.l2.flush);
        let read_only = (attr::R | attr::VALID) << VM1;
        let invalidate = attr::MASK_INV_EPT << VM1;
        set(&mut td, 0x30_0000, read_only, attr::W << VM1 | invalidate);
        let left = (RWX & !attr::W) << VM1;
        assert_eq!(get(&td, 0x30_0000), (DONE, 0x30_0000, left));
        assert!(td.l2.flush);
        let end = set(&mut td, 0x30_0000, attr::VALID << VM1, all);
        assert_eq!(end.2, attr::VALID << VM1);
        assert_eq!(get(&td, 0x30_0000).2, 0);
    }

    #[test]
    fn without_valid_nothing_changes() {
        let mut td = td();
        set(&mut td, 0x30_0000, RWX << VM1, attr::RWX << VM1);
        let end = set(&mut td, 0x30_0000, 0, attr::RWX << VM1);
        assert_eq!((end.0, end.2), (DONE, 0));
        assert_eq!(td.sept.get(0x300).l2, RWX as u16);
    }

    #[test]
    fn operands_are_checked() {
        let mut td = td();
        let invalid = |operand| Attr::Status(status::OPERAND_INVALID | operand);
        let mut end = |mapping, new, mask| set(&mut td, mapping, new, mask).0;
        assert_eq!(end(0x30_0000, RWX, 0), invalid(2), "L1");
        assert_eq!(end(0x30_0000, 0, 1), invalid(8), "L1");
        assert_eq!(end(0x30_0000, RWX << 32, 0), invalid(2), "no VM 2");
        assert_eq!(end(0x30_0000, attr::R << VM1, 0), invalid(2), "VALID");
        for mapping in [0x30_0008, 0x30_1001, 0x30_0002, 1 << 47] {
            assert_eq!(end(mapping, RWX << VM1, 0), invalid(1), "{mapping:#x}");
        }
        let write_only = (attr::W | attr::VALID) << VM1;
        let end = set(&mut td, 0x30_0000, write_only, attr::RWX << VM1);
        assert_eq!(end, (Attr::Status(status::PAGE_ATTR_INVALID), 0, 0));
    }

    #[test]
    fn attributes_of_a_pending_page_wait_and_a_removed_page_loses_them() {
        let mut td = td();
        let missing = Attr::Missing {
            gfn: 0x301,
            large: false,
        };
        assert_eq!(get(&td, 0x30_1000).0, missing);
        assert_eq!(set(&mut td, 0x30_1000, RWX << VM1, 0).0, missing);
        td.sept.augment(0x301, 0x301, false);
        let end = set(&mut td, 0x30_1000, RWX << VM1, attr::RWX << VM1);
        assert_eq!(end.1, 0x30_1000 | page::MAPPING_PENDING);
        td.sept.remove(0x301);
        td.sept.augment(0x301, 0x301, false);
        assert_eq!(get(&td, 0x30_1000).2, 0);
    }

    #[test]
    fn sizes_must_match() {
        let mut td = td();
        (0x400..0x600).for_each(|gfn| assert!(td.sept.augment(gfn, gfn as u32, true)));
        let mut end = |mapping| set(&mut td, mapping, RWX << VM1, attr::RWX << VM1).0;
        assert_eq!(end(0x40_1000), Attr::Demote(0x400));
        assert_eq!(end(0x40_0001), DONE);
        let mismatch = Attr::Status(status::PAGE_SIZE_MISMATCH | 1);
        assert_eq!(end(0x20_0001), mismatch);
        assert_eq!(get(&td, 0x40_3000).1, 0x40_0001 | page::MAPPING_PENDING);
        td.sept.demote(0x400);
        assert_eq!(get(&td, 0x40_3000).2, RWX << VM1, "a split keeps them");
    }
}
