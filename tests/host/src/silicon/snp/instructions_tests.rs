//! The results of the three instructions, row by row.

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
    assert_eq!(adjust(2, 0x1_0103), Ok(0), "the VMSA bit is ignored");
    assert_eq!(adjust(0, 0x2_0302), Ok(1), "a reserved bit");
    assert_eq!(adjust(0, 0x1002), Ok(1), "no such permission");
    assert!(rmp.get(0x200).vmsa, "and stays as VMPL 0 set it");
}

#[test]
fn large_and_small_entries_have_results_of_their_own() {
    let (mut rmp, memory) = guest();
    (0x200..0x400).for_each(|gfn| rmp.launch(gfn, gfn.into(), false));
    let mut adjust = |gpa, size| rmpadjust(&mut rmp, &memory, 0, gpa, size, 0x301);
    assert_eq!(
        adjust(0x20_0000, 1),
        Ok(6),
        "a large operand, a small entry"
    );
    assert_eq!(adjust(0x20_1000, 1), Ok(1), "not aligned");
    assert_eq!(adjust(0x20_0000, 2), Ok(1), "no such size");
    assert_eq!(adjust(0x40_0000, 1), Err(Stop::NotValidated));
    assert_eq!(adjust(0x40_0000, 0), Err(Stop::Host(Fault::Size)));
    let unmapped = Stop::Host(Fault::Unmapped { private: true });
    assert_eq!(adjust(0x1000_0000, 0), Err(unmapped));
    validate(&mut rmp, &memory, 0x40_0000, 1).unwrap();
    let done = rmpadjust(&mut rmp, &memory, 0, 0x40_0000, 1, 0x301);
    assert_eq!(done, Ok(0));
    assert!((0x400..0x600).all(|frame| rmp.get(frame).permissions == [0xF, 3, 0, 0]));
}

#[test]
fn validation_takes_permissions_away_and_its_repetition_does_not() {
    let (mut rmp, memory) = guest();
    validate(&mut rmp, &memory, 0x20_0000, 0).unwrap();
    assert_eq!(
        rmpadjust(&mut rmp, &memory, 0, 0x20_0000, 0, 0x1_0301),
        Ok(0)
    );
    assert_eq!(validate(&mut rmp, &memory, 0x20_0000, 0), Ok((0, true)));
    assert_eq!(rmp.get(0x200).permissions, [0xF, 3, 0, 0]);
    let operands = Pvalidate {
        gpa: 0x20_0000,
        size: 0,
        validate: false,
    };
    let mut rescind = || pvalidate(&mut rmp, &memory, 0, operands);
    assert_eq!(rescind(), Ok((0, false)));
    assert_eq!(rescind(), Ok((0, true)));
    let entry = rmp.get(0x200);
    assert!(!entry.validated && !entry.vmsa);
    assert_eq!(entry.permissions, [0xF, 0, 0, 0]);
}

#[test]
fn rmpquery_reads_what_rmpadjust_wrote() {
    let (mut rmp, memory) = guest();
    let query = |rmp: &Rmp, vmpl, gpa, target| rmpquery(rmp, &memory, vmpl, gpa, target);
    assert_eq!(query(&rmp, 0, 0x20_0000, 0), Err(Stop::NotValidated));
    validate(&mut rmp, &memory, 0x20_0000, 0).unwrap();
    rmpadjust(&mut rmp, &memory, 0, 0x20_0000, 0, 0x1_0502).unwrap();
    let found = |rmp: &Rmp, target| query(rmp, 0, 0x20_0000, target).unwrap();
    let small = |attributes| Queried {
        status: 0,
        size: 0,
        attributes,
    };
    assert_eq!(found(&rmp, 0), small(0x1_0F00));
    assert_eq!(found(&rmp, 1), small(0x1_0001));
    assert_eq!(found(&rmp, 2), small(0x1_0502));
    assert_eq!(found(&rmp, 4).status, 1, "no VMPL 4");
    assert_eq!(query(&rmp, 2, 0x20_0000, 1).unwrap().status, 2);
    assert_eq!(query(&rmp, 2, 0x20_0000, 2).unwrap(), small(0x1_0502));
    let foreign = Err(Stop::Host(Fault::NotAssigned));
    assert_eq!(query(&rmp, 0, 0x60_0000, 0), foreign);
    validate(&mut rmp, &memory, 0x40_0000, 1).unwrap();
    assert_eq!(query(&rmp, 0, 0x40_3000, 0).unwrap().size, 1, "large");
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
    let see = |rmp: &Rmp, memory: &Memory, gpa| view.resolve(rmp, memory, gpa, Wants::default());
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
