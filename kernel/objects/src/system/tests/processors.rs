//! Several processors, case by case.

use super::super::space::Use;
use super::super::thread::{Context, State};
use super::check::check;
use super::fake::{Back, Fake, Registers, system};
use std::boxed::Box;
use std::vec;
use tessera_abi::{kind::Kind, message, number};

/// The first process with threads of these priorities beside its first one (of 8), on so many processors
/// that all looked.
fn with(cpus: u8, priorities: &[u64]) -> Box<Fake> {
    let mut s = system(100);
    (1..cpus).for_each(|cpu| s.join(cpu));
    for priority in priorities {
        s.create_thread(0, Registers::EMPTY, *priority).unwrap();
    }
    looks(&mut s, cpus);
    s
}

/// Every processor looks, the first one last.
fn looks(s: &mut Fake, cpus: u8) {
    for cpu in (0..cpus).rev() {
        s.enter(cpu);
        s.preempt();
    }
    s.kicks();
    check(s);
}

fn running(s: &Fake) -> [u8; 4] {
    core::array::from_fn(|cpu| s.cpus[cpu].current)
}

#[test]
fn ready_threads_go_to_processors_that_idle() {
    let mut s = with(4, &[8, 8, 8, 2]);
    let mut run = running(&s);
    run.sort_unstable();
    assert_eq!(run, [1, 2, 3, 4]);
    // The one that is left waits until somebody ends.
    let cpu = s.cpus.iter().position(|cpu| cpu.current == 3).unwrap();
    s.enter(cpu as u8);
    s.sleep(100);
    check(&s);
    assert_eq!(s.current(), 5);
}

#[test]
fn who_wakes_up_goes_where_it_was_and_only_that_one_is_told() {
    let mut s = with(4, &[8]);
    let there = s.cpus.iter().position(|cpu| cpu.current == 2).unwrap() as u8;
    assert_ne!(there, 0);
    s.enter(there);
    s.sleep(100);
    s.enter(0);
    s.tick(100);
    assert_eq!(s.kicks(), 1 << there);
    check(&s);
    // Once is enough.
    assert_eq!(s.kicks(), 0);
    s.enter(there);
    s.preempt();
    check(&s);
    assert_eq!(s.current(), 2);
}

#[test]
fn a_thread_above_goes_to_the_processor_of_the_lowest() {
    let mut s = with(2, &[3]);
    let high = s.create_thread(0, Registers::EMPTY, 20).unwrap();
    assert_eq!(s.kicks(), 0b10);
    s.enter(1);
    s.preempt();
    s.kicks();
    check(&s);
    assert_eq!(running(&s)[..2], [1, high]);
    assert_eq!(s.thread(2).state, State::Ready);
}

#[test]
fn a_server_runs_where_its_caller_does() {
    let mut s = with(2, &[]);
    let endpoint = u64::from(s.create_object(Kind::Endpoint).unwrap());
    s.create_thread(0, Registers::EMPTY, 4).unwrap();
    looks(&mut s, 2);
    // Thread 2 receives on processor 1, and that one idles.
    s.enter(1);
    s.registers(endpoint, 0, [0; 2]);
    s.receive(0);
    assert_eq!(s.current(), 0);
    s.enter(0);
    s.registers(endpoint, message::tag(1, 0), [5, 6]);
    s.call::<true>(0);
    assert_eq!((s.current(), s.kicks()), (2, 0));
    check(&s);
    s.registers(endpoint, 0, [7, 8]);
    s.reply_receive_slowly(true, 0);
    // The caller goes on here, and nobody was told for nothing.
    assert_eq!((s.current(), s.kicks()), (1, 0));
    check(&s);
}

#[test]
fn equals_share_all_processors() {
    let mut s = with(2, &[8, 8]);
    let mut ran = [0; 4];
    for time in 10..100 {
        for cpu in 0..2 {
            s.enter(cpu);
            s.tick(time);
            s.kicks();
            check(&s);
            ran[usize::from(s.current())] += 1;
        }
    }
    assert!(ran[1..].iter().all(|turns| *turns > 40), "{ran:?}");
}

#[test]
fn who_ends_is_stopped_first_and_tables_are_flushed_where_they_are() {
    let mut s = with(4, &[]);
    let mut back = Back::default();
    let child = u64::from(s.create_space(10, 0, 0, 5000).unwrap());
    let space = s.object(child, Kind::AddressSpace, 0).unwrap();
    let (_, region) = s.create_region(1, 0, 0).unwrap();
    s.map(space, region, 0x10_0000, Use::Write).unwrap();
    let thread = s.create_thread(space, Registers::EMPTY, 4).unwrap();
    looks(&mut s, 4);
    let there = s.elsewhere(thread).unwrap();
    s.enter(there);
    (s.cpu().tables, s.cpu().loaded) = (5000, thread);
    s.enter(0);
    s.unmap(space, 0x10_0000, &mut back).unwrap();
    assert_eq!((back.flushed, back.stopped.len()), (1 << there, 0));
    s.kill_space(space, number::STATUS_KILLED, &mut back);
    s.kicks();
    check(&s);
    assert_eq!((back.stopped, back.spaces), (vec![there], vec![5000]));
    s.enter(there);
    assert_eq!((s.current(), s.cpu().tables, s.cpu().loaded), (0, 0, 0));
}
