//! TDG.SYS.RD and TDG.SYS.RDALL: what the module says of itself. Source: 348551, the leaves' pages and
//! "MD_LIST_HEADER".

use super::td::Td;
use crate::memory::frames::{Memory, PAGE};
use tessera_defs::tdx::{field, status};

/// Class and code, by which fields are told apart.
const KEY: u64 = 0x3F << 56 | 0xFF_FFFF;
/// TDG.VP.RD and WR, TDG.VP.CPUIDVE.SET, TD partitioning, TDG.MR.VERIFYREPORT.
const FEATURES: u64 = 1 << 3 | 1 << 5 | 1 << 7 | 1 << 8;
/// Every field, in order, with its value: a module 1.5 of Intel's, of no real build.
const FIELDS: [(u64, u64); 6] = [
    (field::SYS_VENDOR, 0x8086),
    (field::SYS_BUILD_DATE, 20_260_101),
    (field::SYS_BUILD, 0),
    (field::SYS_MINOR, 5),
    (field::SYS_MAJOR, 1),
    (field::SYS_FEATURES0, FEATURES),
];
/// Bytes of a list's header: bytes of the list, sequences, reserved.
const HEADER: usize = 8;
/// A sequence of one field: its identifier and its value.
const SEQUENCE: usize = 16;

fn place(id: u64) -> Option<usize> {
    let same = |(known, _): &(u64, u64)| known & KEY == id & KEY;
    let at = FIELDS.iter().position(same);
    at.filter(|_| id & field::NOT_SINGLE == 0)
}

/// Value and next field. Errors: the status, with the first field where none was named.
pub fn read(id: u64) -> Result<(u64, u64), (u64, u64)> {
    if id == field::NONE {
        let first = FIELDS[0].0;
        return Err((status::METADATA_FIRST_FIELD_ID_IN_CONTEXT, first));
    }
    let at = place(id).ok_or((status::METADATA_FIELD_ID_INCORRECT, field::NONE))?;
    let next = FIELDS.get(at + 1).map_or(field::NONE, |(next, _)| *next);
    Ok((FIELDS[at].1, next))
}

/// Fills the list at `gpa` from field `first` on. Status, and the field that follows.
pub fn read_all(td: &Td, memory: &mut Memory, gpa: u64, first: u64) -> (u64, u64) {
    let frame = td.sept.mapped(gpa / PAGE as u64);
    let Some(frame) = frame.filter(|_| gpa.is_multiple_of(PAGE as u64)) else {
        return (status::OPERAND_INVALID | status::OPERAND_RDX, first);
    };
    let start = if first == field::NONE {
        Some(0)
    } else {
        place(first)
    };
    let Some(start) = start else {
        return (status::METADATA_FIELD_ID_INCORRECT, first);
    };
    let fields = &FIELDS[start..];
    let bytes = HEADER + fields.len() * SEQUENCE;
    if let Some(page) = memory.page(frame) {
        page[..2].copy_from_slice(&(bytes as u16).to_le_bytes());
        page[2..4].copy_from_slice(&(fields.len() as u16).to_le_bytes());
        page[4..HEADER].fill(0);
        let places = page[HEADER..bytes].chunks_exact_mut(SEQUENCE);
        for (place, (id, value)) in places.zip(fields) {
            place[..8].copy_from_slice(&id.to_le_bytes());
            place[8..].copy_from_slice(&value.to_le_bytes());
        }
    }
    (status::SUCCESS, field::NONE)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_fields_can_be_walked() {
        let (_, mut at) = read(field::NONE).unwrap_err();
        let mut values = std::vec::Vec::new();
        while at != field::NONE {
            let (value, next) = read(at).unwrap();
            values.push(value);
            at = next;
        }
        assert_eq!(values, FIELDS.map(|(_, value)| value));
        let unknown = Err((status::METADATA_FIELD_ID_INCORRECT, field::NONE));
        assert_eq!(read(field::TD_ATTRIBUTES), unknown);
        assert_eq!(read(field::SYS_MAJOR | 1 << 38), unknown, "a sequence");
    }

    #[test]
    fn a_list_has_header_and_sequences() {
        let bytes: &'static mut [u8] = std::vec![0u8; (8 << 20) + 64 * 4096].leak();
        let mut memory = Memory::new(bytes, 8 << 20);
        let mut td = Td::new(2048);
        td.sept.add(0x300, 0x300);
        let done = read_all(&td, &mut memory, 0x30_0000, field::SYS_MAJOR);
        assert_eq!(done, (status::SUCCESS, field::NONE));
        let page = memory.page(0x300).unwrap();
        assert_eq!(page[..8], [40, 0, 2, 0, 0, 0, 0, 0]);
        assert_eq!((page[8], page[16], page[32]), (4, 1, 0xA8));
        let invalid = status::OPERAND_INVALID | status::OPERAND_RDX;
        assert_eq!(
            read_all(&td, &mut memory, 0x30_0800, field::NONE).0,
            invalid
        );
        assert_eq!(
            read_all(&td, &mut memory, 0x31_0000, field::NONE).0,
            invalid
        );
    }
}
