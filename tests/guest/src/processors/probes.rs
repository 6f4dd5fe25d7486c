//! The probes, in order: later ones need what earlier ones did. A number in a report is a place in
//! `ALL`, from 1 on.

use super::machine::{COUNTS, SIGNAL};
use super::work::{self, POSTS, ROUNDS, SUM, order};
use super::{Machine, below, calls, sets};
use core::hint::spin_loop;
use core::sync::atomic::Ordering::{Acquire, Relaxed, Release, SeqCst};
use tessera_defs::mode::Mode;

/// A probe: whether the host does what the architecture says.
pub type Probe = fn(&mut Machine) -> bool;

/// Every probe.
pub static ALL: &[(&str, Probe)] = &[
    ("start", start),
    ("identity", identity),
    ("fixed", fixed),
    ("everybody", everybody),
    ("logical", logical),
    ("cluster", cluster),
    ("nmi", nmi),
    ("back", back),
    ("halt", halt),
    ("timer", timer),
    ("index", index),
    ("synthetic", synthetic),
    ("lock", lock),
    ("registers", registers),
    ("stop-and-start", stop_and_start),
    ("visibility-at-once", below::visibility_at_once),
    ("acceptance-at-once", below::acceptance_at_once),
    ("evidence-of-each", below::evidence_of_each),
    ("stopped-while-served", below::stopped_while_served),
];

const FIXED: u64 = SIGNAL as u64;
const LOGICAL: u64 = 1 << 11;
const NMI: u64 = 4 << 8;

/// Whether it becomes true in a time that is long for a paravisor.
pub fn in_time(what: impl Fn() -> bool) -> bool {
    (0..100).any(|_| soon(&what))
}

/// Whether it becomes true in a time that is long for a processor.
pub fn soon(what: impl Fn() -> bool) -> bool {
    (0..100_000).any(|_| {
        spin_loop();
        what()
    })
}

/// It stays so for a while.
fn for_a_while(what: impl Fn() -> bool) -> bool {
    (0..2_000).all(|_| {
        spin_loop();
        what()
    })
}

fn others(machine: &Machine) -> core::ops::Range<usize> {
    1..machine.count
}

fn signals(index: usize) -> u64 {
    COUNTS[index].signals.load(SeqCst)
}

/// One order to one processor; its answer.
fn order(index: usize, what: u64) -> Option<u64> {
    let post = &POSTS[index];
    post.order.store(what, Release);
    soon(|| post.order.load(Acquire) == 0).then(|| post.answer.load(SeqCst))
}

/// Starts processor 1, and waits until it started so often.
pub fn wait_for_one(machine: &mut Machine, starts: u64) {
    machine.start(1);
    while POSTS[1].starts.load(SeqCst) < starts {
        spin_loop();
    }
}

/// Starts processor 1, and waits for a signal from it.
pub fn wait_for_signal(machine: &mut Machine) {
    wait_for_one(machine, 1);
    POSTS[1].order.store(order::SIGNAL, Release);
    while signals(0) == 0 {
        spin_loop();
    }
}

fn start(machine: &mut Machine) -> bool {
    let ran = |index: usize| POSTS[index].starts.load(SeqCst) == 1;
    machine.count > 1 && others(machine).all(|index| machine.start(index) && soon(|| ran(index)))
}

fn identity(machine: &mut Machine) -> bool {
    others(machine).all(|index| {
        let id = index as u64;
        order(index, order::IDENTITY) == Some(id << 32 | id)
    })
}

/// To one: that one gets it, once, and nobody else.
fn fixed(machine: &mut Machine) -> bool {
    others(machine).all(|index| {
        let before: [u64; 8] = core::array::from_fn(signals);
        calls::send((index as u64) << 32 | FIXED);
        let one = soon(|| signals(index) > before[index]);
        one && (0..machine.count).all(|n| signals(n) == before[n] + u64::from(n == index))
    })
}

/// By shorthands: all but oneself, all, oneself.
fn everybody(machine: &mut Machine) -> bool {
    let rows = [(3, false, true), (2, true, true), (1, true, false)];
    rows.into_iter().all(|(shorthand, me, rest)| {
        let before: [u64; 8] = core::array::from_fn(signals);
        calls::send(shorthand << 18 | FIXED);
        let wanted = |n: usize| before[n] + u64::from(if n == 0 { me } else { rest });
        let count = machine.count;
        soon(|| (0..count).all(|n| signals(n) == wanted(n)))
            && for_a_while(|| (0..count).all(|n| signals(n) == wanted(n)))
    })
}

/// Processors 0 and 1 by their bits of cluster 0.
fn logical(machine: &mut Machine) -> bool {
    let before: [u64; 8] = core::array::from_fn(signals);
    calls::send(0b11 << 32 | LOGICAL | FIXED);
    let count = machine.count;
    let right = || (0..count).all(|n| signals(n) == before[n] + u64::from(n < 2));
    soon(right) && for_a_while(right)
}

/// By the hypercall that names them, where the host has it: all but processor 0.
fn cluster(machine: &mut Machine) -> bool {
    if !machine.hyperv || below::is(machine) {
        return true;
    }
    let before: [u64; 8] = core::array::from_fn(signals);
    let count = machine.count;
    let right = || (0..count).all(|n| signals(n) == before[n] + u64::from(n > 0));
    sets::send((1 << count) - 2) && soon(right) && for_a_while(right)
}

fn nmi(machine: &mut Machine) -> bool {
    others(machine).all(|index| {
        let count = || COUNTS[index].nmis.load(SeqCst);
        let before = count();
        (1..=3).all(|n| {
            calls::send((index as u64) << 32 | NMI);
            soon(|| count() == before + n)
        })
    }) && COUNTS[0].nmis.load(SeqCst) == 0
}

fn back(machine: &mut Machine) -> bool {
    others(machine).all(|index| {
        let before = signals(0);
        order(index, order::SIGNAL).is_some() && soon(|| signals(0) == before + 1)
    })
}

/// Who halts does nothing until a signal.
fn halt(machine: &mut Machine) -> bool {
    others(machine).all(|index| {
        let post = &POSTS[index];
        post.order.store(order::HALT, Release);
        let asleep = || post.turns.load(Relaxed);
        for_a_while(|| true);
        let before = asleep();
        for_a_while(|| asleep() == before) && {
            calls::send((index as u64) << 32 | FIXED);
            soon(|| post.order.load(Acquire) == 0 && asleep() != before)
        }
    })
}

/// Each has a timer of its own: all at once.
fn timer(machine: &mut Machine) -> bool {
    others(machine).for_each(|index| POSTS[index].order.store(order::TIMER, Release));
    let done = |index: usize| {
        let post = &POSTS[index];
        soon(|| post.order.load(Acquire) == 0) && post.answer.load(SeqCst) == 3
    };
    work::timer() == 3 && others(machine).all(done)
}

fn index(machine: &mut Machine) -> bool {
    !machine.hyperv || others(machine).all(|n| order(n, order::INDEX) == Some(n as u64))
}

/// Each has a synthetic interrupt controller and timers of its own, where the host has them.
fn synthetic(machine: &mut Machine) -> bool {
    if !machine.hyperv || below::is(machine) {
        return true;
    }
    let ticks = || COUNTS[0].ticks.load(SeqCst);
    let mine = ticks();
    others(machine).for_each(|index| POSTS[index].order.store(order::SYNTHETIC, Release));
    others(machine).all(|index| {
        let post = &POSTS[index];
        in_time(|| post.order.load(Acquire) == 0) && post.answer.load(SeqCst) == 3
    }) && ticks() == mine
}

/// Everybody counts under one lock.
fn lock(machine: &mut Machine) -> bool {
    others(machine).for_each(|index| POSTS[index].order.store(order::COUNT, Release));
    (0..ROUNDS).for_each(|_| work::count());
    let total = ROUNDS * machine.count as u64;
    let done = |index: usize| soon(|| POSTS[index].order.load(Acquire) == 0);
    others(machine).all(done) && SUM.iter().all(|half| half.load(SeqCst) == total)
}

/// What VMRUN does not switch is each processor's own: SSE state and TSC_AUX.
fn registers(machine: &mut Machine) -> bool {
    others(machine).for_each(|index| POSTS[index].order.store(order::REGISTERS, Release));
    let own = work::registers(0) == 1;
    own && others(machine).all(|index| {
        let post = &POSTS[index];
        soon(|| post.order.load(Acquire) == 0) && post.answer.load(SeqCst) == 1
    })
}

/// A processor that is stopped stands still, and can be started again.
fn stop_and_start(machine: &mut Machine) -> bool {
    if machine.mode == Mode::Tdx {
        return true;
    }
    let post = &POSTS[1];
    let turns = || post.turns.load(Relaxed);
    if !machine.stop(1) {
        return false;
    }
    // An INIT takes its time.
    for_a_while(|| true);
    let before = turns();
    for_a_while(|| turns() == before)
        && machine.start(1)
        && soon(|| post.starts.load(SeqCst) == 2)
        && order(1, order::IDENTITY) == Some(1 << 32 | 1)
}
