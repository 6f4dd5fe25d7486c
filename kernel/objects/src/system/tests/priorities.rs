//! Scheduling and inheritance, case by case.

use super::super::thread::{Context, State};
use super::check::check;
use super::fake::{Fake, Registers, system};
use std::boxed::Box;
use tessera_abi::{error::Error, kind::Kind, message};

/// The first process with one thread more of each priority, and an endpoint.
fn with_threads(priorities: &[u64]) -> (Box<Fake>, u64) {
    let mut s = system(100);
    let endpoint = s.create_object(Kind::Endpoint).unwrap();
    for priority in priorities {
        s.create_thread(0, Registers::EMPTY, *priority).unwrap();
    }
    (s, endpoint.into())
}

fn receive(s: &mut Fake, endpoint: u64) {
    s.registers(endpoint, 0, [0; 2]);
    s.receive(0);
    check(s);
}

fn call(s: &mut Fake, endpoint: u64, word: u64) {
    s.registers(endpoint, message::tag(7, 0), [word, 1]);
    s.call::<false>(0);
    check(s);
}

#[test]
fn a_call_switches_directly_and_the_reply_comes_back() {
    let (mut s, endpoint) = with_threads(&[4]);
    receive(&mut s, endpoint);
    assert_eq!(s.current(), 2);
    call(&mut s, endpoint, 42);
    assert_eq!(s.current(), 1);
    assert_eq!(s.thread(1).context.words, [42, 1]);
    assert_eq!(s.thread(1).context.tag, 7);
    s.registers(endpoint, 9, [43, 0]);
    s.reply_receive::<false>(0);
    check(&s);
    assert_eq!(s.current(), 2);
    let context = s.thread(2).context;
    assert_eq!(
        (context.words, context.tag, context.result),
        ([43, 0], 9, message::MESSAGE)
    );
}

#[test]
fn a_message_is_short_where_either_side_is() {
    let (mut s, endpoint) = with_threads(&[4]);
    for (caller, server) in [(false, false), (false, true), (true, false), (true, true)] {
        s.registers(endpoint, 0, [7, 8]);
        s.reply_receive_slowly(server, 0);
        assert_eq!(s.current(), 2);
        s.registers(endpoint, 0, [1, 2]);
        match caller {
            true => s.call::<true>(0),
            false => s.call::<false>(0),
        }
        check(&s);
        let context = s.thread(1).context;
        let (second, result) = match caller || server {
            true => (8, message::SHORT),
            false => (2, message::MESSAGE),
        };
        assert_eq!((context.words, context.result), ([1, second], result));
        s.registers(endpoint, 0, [3, 4]);
        s.reply();
        s.yield_now();
        let context = s.thread(2).context;
        assert_eq!(
            (context.words[0], context.words[1]),
            (3, if caller { 2 } else { 4 })
        );
    }
}

#[test]
fn a_server_runs_with_its_callers_priority_and_loses_it_with_the_reply() {
    let (mut s, endpoint) = with_threads(&[]);
    let worker = s.create_thread(0, Registers::EMPTY, 20).unwrap();
    s.preempt();
    // The worker is above; it calls while nobody receives, and waits.
    assert_eq!(s.current(), worker);
    call(&mut s, endpoint, 1);
    assert_eq!(s.current(), 1);
    receive(&mut s, endpoint);
    assert_eq!(s.thread(1).effective, 20);
    // Somebody between the two does not get in.
    s.create_thread(0, Registers::EMPTY, 15).unwrap();
    s.preempt();
    check(&s);
    assert_eq!(s.current(), 1);
    s.registers(endpoint, 0, [0; 2]);
    s.reply_receive::<false>(0);
    check(&s);
    assert_eq!(s.current(), worker);
    assert_eq!(s.thread(1).effective, 8);
}

#[test]
fn inheritance_goes_down_a_chain_and_ends_when_the_waiter_dies() {
    let (mut s, first) = with_threads(&[6, 4]);
    let second = u64::from(s.create_object(Kind::Endpoint).unwrap());
    // Thread 1 serves `first` and calls `second`, which thread 2 serves.
    receive(&mut s, second);
    assert_eq!(s.current(), 2);
    receive(&mut s, first);
    assert_eq!(s.current(), 3);
    call(&mut s, first, 1);
    assert_eq!(s.current(), 2);
    call(&mut s, second, 1);
    assert_eq!((s.current(), s.thread(1).effective), (1, 8));
    let high = s.create_thread(0, Registers::EMPTY, 30).unwrap();
    s.preempt();
    call(&mut s, first, 2);
    assert_eq!(s.current(), 1);
    assert_eq!((s.thread(2).effective, s.thread(1).effective), (30, 30));
    s.cancel(high);
    check(&s);
    assert_eq!(s.thread(high).context.result, Error::Cancelled.number());
    assert_eq!((s.thread(2).effective, s.thread(1).effective), (6, 8));
}

#[test]
fn equals_share_by_slices_and_the_server_uses_its_callers() {
    let (mut s, endpoint) = with_threads(&[8, 8]);
    receive(&mut s, endpoint);
    let mut order = std::vec::Vec::new();
    for time in 0..12 {
        order.push(s.current());
        s.tick(10 + time);
        check(&s);
    }
    assert_eq!(order, [2, 2, 2, 3, 3, 3, 2, 2, 2, 3, 3, 3]);
    s.tick(30);
    assert_eq!(s.current(), 2);
    call(&mut s, endpoint, 1);
    assert_eq!(s.current(), 1);
    s.tick(31);
    s.tick(32);
    // Two of three ticks went by during the caller's and its server's work.
    assert_eq!(s.current(), 3);
}

/// Was wrong once: whoever was interrupted at the end of its slice kept its place with a new one.
#[test]
fn a_thread_above_that_wakes_often_starves_nobody() {
    for pace in 1..6 {
        let (mut s, _) = with_threads(&[4, 4]);
        let mut ran = [0; 4];
        for time in 10..70 {
            if s.current() == 1 {
                s.sleep(time + pace);
            }
            ran[usize::from(s.current())] += 1;
            s.tick(time);
            check(&s);
        }
        assert!(ran[2] > 15 && ran[3] > 15, "pace {pace}: {ran:?}");
    }
}

#[test]
fn timeouts_end_waits_and_sleep_is_no_error() {
    let (mut s, endpoint) = with_threads(&[8]);
    s.registers(endpoint, 0, [0; 2]);
    s.receive(100);
    s.sleep(50);
    check(&s);
    assert_eq!(s.current(), 0);
    s.tick(49);
    assert_eq!(s.current(), 0);
    s.tick(50);
    assert_eq!((s.current(), s.thread(2).context.result), (2, 0));
    s.tick(100);
    check(&s);
    assert_eq!(s.thread(1).context.result, Error::TimedOut.number());
    assert_eq!(s.thread(1).state, State::Ready);
}

#[test]
fn a_bound_notification_ends_a_receive() {
    let (mut s, endpoint) = with_threads(&[4]);
    let n = u64::from(s.create_object(Kind::Notification).unwrap());
    assert_eq!(s.bind(n), Ok(0));
    assert_eq!(s.bind(n), Err(Error::Busy));
    receive(&mut s, endpoint);
    assert_eq!(s.signal(n, 0b100), Ok(0));
    check(&s);
    assert_eq!(s.current(), 1);
    let context = s.thread(1).context;
    assert_eq!((context.result, context.handle), (message::NOTIFIED, 0b100));
    assert_eq!(s.signal(n, 1), Ok(0));
    receive(&mut s, endpoint);
    assert_eq!((s.current(), s.thread(1).context.handle), (1, 1));
}
