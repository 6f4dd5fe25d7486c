//! Pages that a pager brings, case by case.

use super::super::fault::Supply;
use super::super::mapping::Touch;
use super::super::space::Use;
use super::super::thread::{Context, Fault, State};
use super::check::check;
use super::fake::{Back, Fake, Registers, system};
use std::boxed::Box;
use tessera_abi::message::{FAULT, FAULT_END, FAULT_PAGE, TOUCH_WRITE, label, tag};
use tessera_abi::{error::Error, kind::Kind, message, rights};

const AT: u64 = 0x40_0000;
const BADGE: u64 = 77;

/// A pager, thread 1, that waits; thread 2 of another process with a region of it; the pager's own
/// region of four pages, by handle.
fn paged() -> (Box<Fake>, u64, u8, u64) {
    let mut s = system(100);
    let endpoint = u64::from(s.create_object(Kind::Endpoint).unwrap());
    let badged = s.duplicate(endpoint, rights::SEND.into(), BADGE).unwrap();
    let space = u64::from(s.create_space(20, 0, 0, 2000).unwrap());
    let child = s.object(space, Kind::AddressSpace, 0).unwrap();
    let (_, region) = s.create_region(9, child, badged.into()).unwrap();
    s.map(child, region, AT, Use::Write).unwrap();
    let own = s.create_region(4, 0, 0).unwrap().0;
    s.start_thread(child, Registers::EMPTY, 5).unwrap();
    s.registers(endpoint, 0, [0; 2]);
    s.receive(0);
    assert_eq!(s.current(), 2);
    check(&s);
    (s, endpoint, region, own.into())
}

fn fault(s: &mut Fake, region: u8) -> bool {
    let place = s
        .reached(s.current_space(), AT + 0x3008, Touch::Write)
        .unwrap();
    assert_eq!((place.region, place.page), (region, 3));
    let asked = s.fault(Fault {
        address: AT + 0x3000,
        page: place.page as u32,
        touch: TOUCH_WRITE,
        region,
    });
    check(s);
    asked
}

#[test]
fn a_fault_is_a_message_and_the_page_is_the_reply() {
    let (mut s, endpoint, region, own) = paged();
    s.registers(4, 5, [6, 7]);
    let registers = s.thread(2).context;
    assert!(fault(&mut s, region));
    assert_eq!((s.current(), s.thread(2).state), (1, State::Awaiting));
    let context = s.thread(1).context;
    assert_eq!((context.handle, label(context.tag)), (BADGE, FAULT));
    assert_eq!(context.words, [AT + 0x3000, TOUCH_WRITE.into()]);
    assert_eq!(context.result, message::SHORT);
    s.registers(endpoint, tag(FAULT_PAGE, 0), [own, 2]);
    let from = s.object(own, Kind::Region, 0).unwrap();
    let supply = Supply {
        from: (from, 2),
        to: (region, 3),
        thread: 2,
    };
    assert_eq!(s.supply(), Ok(Some(supply)));
    s.reply_receive::<true>(0);
    check(&s);
    assert_eq!((s.current(), s.thread(2).context), (2, registers));
    assert!(!s.thread(2).faults());
}

#[test]
fn what_a_pager_may_not_hand_in() {
    let (mut s, endpoint, region, own) = paged();
    assert!(fault(&mut s, region));
    let powerless = u64::from(s.duplicate(own, 0, 0).unwrap());
    let paged = u64::from(s.create_region(9, 0, endpoint).unwrap().0);
    let mut supply = |handle, page| {
        s.registers(endpoint, tag(FAULT_PAGE, 0), [handle, page]);
        s.supply()
    };
    assert_eq!(supply(0, 0), Err(Error::BadHandle));
    assert_eq!(supply(endpoint, 0), Err(Error::WrongKind));
    assert_eq!(supply(powerless, 0), Err(Error::NoRight));
    assert_eq!(supply(own, 4), Err(Error::BadArgument));
    assert_eq!(supply(paged, 0), Err(Error::Busy));
    assert!(supply(own, 3).unwrap().is_some());
    let copy = u64::from(s.create_region(4, 0, own).unwrap().0);
    for handle in [own, copy] {
        s.registers(endpoint, tag(FAULT_PAGE, 0), [handle, 3]);
        assert_eq!(s.supply(), Err(Error::Busy));
    }
    // Nobody's fault is answered by another label, or without one.
    s.registers(endpoint, tag(FAULT_END, 0), [own, 3]);
    assert_eq!(s.supply(), Ok(None));
}

#[test]
fn a_pager_that_says_no_drops_or_dies_ends_the_wait_by_name() {
    for how in 0..4 {
        let (mut s, endpoint, region, _) = paged();
        s.registers(4, 5, [6, 7]);
        let registers = s.thread(2).context;
        assert!(fault(&mut s, region));
        s.registers(endpoint, tag(FAULT_END, 0), [0; 2]);
        match how {
            0 => s.reply_receive::<true>(0),
            1 => s.receive(0),
            2 => s.kill_thread(1, 0, &mut Back::default()),
            _ => {
                s.revoke(endpoint).unwrap();
                // The pager knows of no one any more; its caller waits for it, not for the endpoint.
                s.receive(0);
            }
        }
        if how == 2 {
            // The first process had one thread: all is over.
            continue;
        }
        check(&s);
        assert_eq!(
            (s.current(), s.thread(2).context),
            (2, registers),
            "way {how}"
        );
        assert!(!fault(&mut s, region), "way {how}");
        assert_eq!(s.current(), 2);
    }
}

#[test]
fn a_fault_waits_in_the_queue_and_no_cancel_ends_it() {
    let (mut s, endpoint, region, _) = paged();
    assert!(fault(&mut s, region));
    s.start_thread(0, Registers::EMPTY, 8).unwrap();
    s.cancel(2);
    assert!(s.thread(2).faults());
    s.registers(endpoint, 0, [0; 2]);
    s.reply_receive::<true>(0);
    while s.current() != 2 {
        s.registers(endpoint, 0, [0; 2]);
        s.sleep(100);
    }
    // Nobody receives: it is in the queue until somebody does.
    s.kill_thread(1, 0, &mut Back::default());
    assert!(fault(&mut s, region));
    assert_eq!(s.thread(2).state, State::Sending);
    s.cancel(2);
    assert!(s.thread(2).faults());
    s.tick(200);
    assert_eq!(s.current(), 3);
    s.registers(endpoint, 0, [0; 2]);
    s.receive(0);
    assert_eq!(s.thread(3).context.words, [AT + 0x3000, TOUCH_WRITE.into()]);
    check(&s);
}
