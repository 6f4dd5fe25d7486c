//! Asking processors, with interrupts that arrive, are lost, or go to another one.

use super::*;
use std::cell::{Cell, RefCell};
use std::vec::Vec;

const PATIENCE: Patience = Patience { times: 5, looks: 3 };
const WHAT: u32 = 2;

/// Asks `processors` of four. An interrupt reaches the processor that `route` names, if any, and that one
/// answers at the next look. Whether all answered, who was told each time, who was asked for what.
fn asks(
    processors: u8,
    route: impl Fn(u32, usize) -> Option<usize>,
) -> (bool, Vec<u8>, Vec<(usize, u32)>) {
    let requests = [const { Request(AtomicU32::new(0)) }; 4];
    let (told, done) = (RefCell::new(Vec::new()), RefCell::new(Vec::new()));
    let interrupted = Cell::new(0u8);
    let tell = |left: u8| {
        let time = told.borrow().len() as u32;
        told.borrow_mut().push(left);
        for to in (0..4).filter(|number| left >> number & 1 == 1) {
            let reached = route(time, to).map_or(0, |to| 1 << to);
            interrupted.set(interrupted.get() | reached);
        }
    };
    let look = || {
        let who = interrupted.replace(0);
        for number in (0..4).filter(|number| who >> number & 1 == 1) {
            requests[number].answer(|what| done.borrow_mut().push((number, what)));
        }
    };
    let all = ask(&requests, processors, WHAT, PATIENCE, tell, look);
    (all, told.into_inner(), done.into_inner())
}

#[test]
fn each_one_that_is_asked_is_told_once_and_nobody_else() {
    let (all, told, done) = asks(0b1010, |_, to| Some(to));
    assert!(all);
    assert_eq!(told, [0b1010]);
    assert_eq!(done, [(1, WHAT), (3, WHAT)]);
}

#[test]
fn who_did_not_hear_is_told_again_and_only_that_one() {
    let (all, told, done) = asks(0b0110, |time, to| (time >= 2 || to == 1).then_some(to));
    assert!(all);
    assert_eq!(told, [0b0110, 0b0100, 0b0100]);
    assert_eq!(done, [(1, WHAT), (2, WHAT)]);
}

#[test]
fn patience_ends_where_interrupts_are_lost_or_go_to_another_one() {
    for route in [|_, _| None, |_, to| Some(to ^ 1)] {
        let (all, told, done) = asks(0b0100, route);
        assert!(!all);
        assert_eq!(told, [0b0100; 5]);
        assert!(done.is_empty());
    }
}

#[test]
fn who_answers_while_it_waits_for_the_lock_needs_no_interrupt() {
    let requests = [const { Request(AtomicU32::new(0)) }; 2];
    let look = || requests[1].answer(|_| {});
    assert!(ask(&requests, 0b10, WHAT, PATIENCE, |_| {}, look));
    assert!(ask(&requests, 0, WHAT, PATIENCE, |_| {}, || unreachable!()));
}
