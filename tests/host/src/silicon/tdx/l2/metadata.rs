//! TDG.VP.RD and TDG.VP.WR: which fields of the processor L1 knows. Source: 348551, the leaves'
//! pages and tables of TDVPS. Fields of L1's own VMCS are not L1's to read.

use super::{
    fields::{COUNT, FIELDS},
    vm::{BITMAP_WORDS, Vm},
};
use crate::silicon::tdx::td::Td;
use tessera_defs::tdx::{field, status};

const CLASS_VMCS: u64 = 0;
const CLASS_MANAGEMENT: u64 = 32;
/// Elements 0 to 3 of L2_CTLS and TSC_DEADLINE belong to L1 and VMs 1 to 3.
const CTLS: u64 = 0x50;
const DEADLINE: u64 = 0x58;

enum Element {
    Index,
    Ctls(bool),
    Deadline(bool),
    Vmcs(u32),
    Bitmap(usize),
}

fn class(id: u64) -> u64 {
    id >> 56 & 0x3F
}

fn code(id: u64) -> u64 {
    id & 0xFF_FFFF
}

/// The element that an identifier names. Errors: the completion status.
fn element(td: &Td, id: u64, denied: u64) -> Result<Element, u64> {
    let unknown = Err(status::METADATA_FIELD_ID_INCORRECT);
    if id & field::NOT_SINGLE != 0 {
        return unknown;
    }
    let own = |first: u64| code(id) == first + 1 && td.l2_vms > 0;
    match (class(id), code(id)) {
        (CLASS_VMCS, _) => Err(denied),
        (CLASS_MANAGEMENT, 2) => Ok(Element::Index),
        (CLASS_MANAGEMENT, CTLS..=0x53) => Ok(Element::Ctls(own(CTLS))),
        (CLASS_MANAGEMENT, DEADLINE..=0x5B) => Ok(Element::Deadline(own(DEADLINE))),
        (field::CLASS_VMCS_1, encoding) if td.l2_vms > 0 => Ok(Element::Vmcs(encoding as u32)),
        (field::CLASS_MSR_BITMAPS_1, at) if td.l2_vms > 0 && at < BITMAP_WORDS as u64 => {
            Ok(Element::Bitmap(at as usize))
        }
        _ => unknown,
    }
}

/// TDG.VP.RD of one element. Errors: the completion status.
pub fn read(td: &Td, id: u64) -> Result<u64, u64> {
    let vm = &td.l2;
    Ok(
        match element(td, id, status::METADATA_FIELD_NOT_READABLE)? {
            Element::Index => td.index.into(),
            Element::Ctls(own) => {
                if own {
                    vm.ctls
                } else {
                    0
                }
            }
            Element::Deadline(own) => {
                if own {
                    vm.deadline
                } else {
                    u64::MAX
                }
            }
            Element::Vmcs(encoding) => vm.vmcs.read(encoding)?,
            Element::Bitmap(at) => vm.bitmaps[at],
        },
    )
}

/// TDG.VP.WR of the bits of `mask`; the old value. Errors: the completion status.
pub fn write(td: &mut Td, id: u64, value: u64, mask: u64) -> Result<u64, u64> {
    let element = element(td, id, status::METADATA_FIELD_NOT_WRITABLE)?;
    let vm: &mut Vm = &mut td.l2;
    let denied = Err(status::METADATA_FIELD_NOT_WRITABLE);
    match element {
        Element::Index => denied,
        Element::Vmcs(encoding) => vm.vmcs.write(encoding, value, mask),
        Element::Ctls(own) => {
            let old = if own { vm.ctls } else { 0 };
            if mask & field::L2_CTLS_WRITABLE == 0 {
                return denied;
            }
            // #VE in an L2 VM is not offered.
            let absent = !field::L2_CTLS_WRITABLE | field::L2_CTLS_EXTENDED_VE;
            if value & mask & absent != 0 {
                return Err(status::METADATA_FIELD_VALUE_NOT_VALID);
            }
            if own {
                vm.ctls = old & !mask | value & mask;
            }
            Ok(old)
        }
        Element::Deadline(own) if mask != 0 => {
            let old = if own { vm.deadline } else { u64::MAX };
            if own {
                vm.deadline = old & !mask | value & mask;
            }
            Ok(old)
        }
        Element::Bitmap(at) if mask != 0 => {
            let old = vm.bitmaps[at];
            vm.bitmaps[at] = old & !mask | value & mask;
            Ok(old)
        }
        Element::Deadline(_) | Element::Bitmap(_) => denied,
    }
}

/// The field that TDG.VP.RD names as the next one, in the order of TDVPS; `field::NONE` at the
/// end. `None` as input asks for the first.
pub fn next(td: &Td, id: Option<u64>) -> u64 {
    let Some(id) = id else {
        return field::VCPU_INDEX;
    };
    let l2 = td.l2_vms > 0;
    match (class(id), code(id)) {
        (CLASS_MANAGEMENT, 2) => field::L2_CTLS_VM1 - 1,
        (CLASS_MANAGEMENT, CTLS..=0x52) | (CLASS_MANAGEMENT, DEADLINE..=0x5A) => id + 1,
        (CLASS_MANAGEMENT, 0x53) => field::TSC_DEADLINE_VM1 - 1,
        (CLASS_MANAGEMENT, _) if l2 => readable_after(0),
        (field::CLASS_VMCS_1, encoding) => readable_after(encoding as u32 + 1),
        (field::CLASS_MSR_BITMAPS_1, at) if at + 1 < BITMAP_WORDS as u64 => {
            field::msr_bitmap1(at + 1)
        }
        _ => field::NONE,
    }
}

fn readable_after(encoding: u32) -> u64 {
    let from = FIELDS.partition_point(|field| field.encoding < encoding);
    let mut rest = FIELDS[from.min(COUNT)..].iter();
    rest.find(|field| field.read != 0)
        .map_or(field::msr_bitmap1(0), |next| field::vmcs1(next.encoding))
}

#[cfg(test)]
mod tests {
    use super::*;
    use tessera_defs::vmx::vmcs;

    fn td() -> Td {
        let mut td = Td::new(16);
        td.l2_vms = 1;
        td
    }

    #[test]
    fn identifiers_are_checked_and_their_size_is_not() {
        let mut td = td();
        let id = field::vmcs1(vmcs::GUEST_CS_SELECTOR);
        assert_eq!(write(&mut td, id, 8, u64::MAX), Ok(0));
        assert_eq!(read(&td, id), Ok(8));
        assert_eq!(read(&td, id | 3 << 32 | 7 << 52), Ok(8));
        let unknown = Err(status::METADATA_FIELD_ID_INCORRECT);
        assert_eq!(read(&td, id | 1 << 38), unknown, "a sequence");
        assert_eq!(read(&td, id | 1 << 62), unknown, "reserved");
        assert_eq!(read(&td, id + (8 << 56)), unknown, "VM 2");
        let own = read(&td, id & !(0x3F << 56));
        assert_eq!(own, Err(status::METADATA_FIELD_NOT_READABLE));
        td.l2_vms = 0;
        assert_eq!(read(&td, id), unknown, "no VM 1");
    }

    #[test]
    fn controls_deadline_and_bitmaps_are_l1s() {
        let mut td = td();
        assert_eq!(write(&mut td, field::L2_CTLS_VM1, 1, 1), Ok(0));
        assert_eq!(read(&td, field::L2_CTLS_VM1), Ok(1));
        let invalid = Err(status::METADATA_FIELD_VALUE_NOT_VALID);
        assert_eq!(write(&mut td, field::L2_CTLS_VM1, 8, 0xF), invalid);
        assert_eq!(read(&td, field::TSC_DEADLINE_VM1), Ok(u64::MAX));
        assert_eq!(
            write(&mut td, field::TSC_DEADLINE_VM1, 7, u64::MAX),
            Ok(u64::MAX)
        );
        let word = field::msr_bitmap1(0x80);
        assert_eq!(write(&mut td, word, 0, 1 << 3), Ok(u64::MAX));
        assert_eq!(read(&td, word), Ok(!(1 << 3)));
        let denied = Err(status::METADATA_FIELD_NOT_WRITABLE);
        assert_eq!(write(&mut td, field::VCPU_INDEX, 0, 1), denied);
        assert_eq!(write(&mut td, word, 0, 0), denied);
    }

    #[test]
    fn the_fields_can_be_walked() {
        let td = td();
        let (mut at, mut count) = (next(&td, None), 0);
        while at != field::NONE {
            assert!(read(&td, at).is_ok(), "{at:#x}");
            at = next(&td, Some(at));
            count += 1;
        }
        let readable = FIELDS.iter().filter(|field| field.read != 0).count();
        assert_eq!(count, 1 + 4 + 4 + readable + BITMAP_WORDS);
    }
}
