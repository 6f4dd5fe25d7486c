//! What must hold after every operation.

use super::super::objects::{OBJECTS, Queue};
use super::super::region::{Origin, Region};
use super::super::space::{Life, SPACES, Use};
use super::super::thread::{State, THREADS};
use super::fake::Fake;
use crate::page_list::list_pages;
use std::vec::Vec;
use tessera_abi::kind::Kind;

/// How many of everything there are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Counts {
    pub threads: usize,
    pub spaces: usize,
    pub endpoints: usize,
    pub notifications: usize,
    pub regions: usize,
    pub grants: usize,
    pub handles: usize,
    pub pages: u64,
}

pub fn counts(s: &Fake) -> Counts {
    Counts {
        threads: s.threads.iter().filter(|t| t.state != State::Free).count(),
        spaces: s.spaces.iter().filter(|x| x.life != Life::Free).count(),
        endpoints: s.endpoints.iter().filter(|x| x.header.used).count(),
        notifications: s.notifications.iter().filter(|x| x.header.used).count(),
        regions: s.regions.iter().filter(|x| x.header.used).count(),
        grants: s.interrupts.iter().filter(|x| x.used()).count()
            + [
                &s.grants.channels,
                &s.grants.evidence,
                &s.grants.inspections,
            ]
            .iter()
            .flat_map(|headers| headers.iter())
            .filter(|x| x.used)
            .count(),
        handles: s.spaces.iter().map(|x| x.handles.used().count()).sum(),
        pages: s.spaces.iter().map(|x| x.pages).sum(),
    }
}

/// Panics where something of the threads does not hold.
pub fn quick(s: &Fake) {
    scheduling(s);
    waiting(s);
    priorities(s);
}

/// Panics where something does not hold.
pub fn check(s: &Fake) {
    quick(s);
    references(s);
    regions(s);
    quotas(s);
}

fn state(s: &Fake, thread: u8) -> State {
    s.threads[usize::from(thread)].state
}

fn scheduling(s: &Fake) {
    let mut ready = 0;
    for (number, cpu) in (0u8..).zip(&s.cpus) {
        for (priority, list) in cpu.lists.iter().enumerate() {
            assert_eq!(list.is_empty(), cpu.bits >> priority & 1 == 0);
            for thread in list.iter(&s.threads) {
                let t = &s.threads[usize::from(thread)];
                assert_eq!((t.state, t.home), (State::Ready, number));
                assert_eq!(usize::from(t.effective), priority);
                ready += 1;
            }
        }
    }
    let count = |wanted| s.threads.iter().filter(|t| t.state == wanted).count();
    assert_eq!(ready, count(State::Ready), "a ready thread is in no queue");
    let running: Vec<u8> = s.cpus.iter().map(|cpu| cpu.current).collect();
    let mut named: Vec<u8> = running.iter().copied().filter(|t| *t != 0).collect();
    assert_eq!(
        named.len(),
        count(State::Running),
        "a running thread without a processor"
    );
    assert!(named.iter().all(|t| state(s, *t) == State::Running));
    named.sort_unstable();
    assert!(
        named.is_sorted_by(|a, b| a < b),
        "a thread on two processors"
    );
    let coming = s.cpus.iter().filter(|cpu| cpu.kicked && cpu.current == 0);
    let coming = coming.count();
    for (number, cpu) in (0u8..).zip(&s.cpus) {
        if !s.taking_part().any(|part| part == number) {
            assert_eq!(
                (cpu.current, cpu.bits),
                (0, 0),
                "a processor that takes no part"
            );
            continue;
        }
        // One that was told to look will.
        if cpu.kicked {
            continue;
        }
        let idles = cpu.current == 0 && ready > coming;
        assert!(!idles, "processor {number} idles with work");
        let effective = s.threads[usize::from(cpu.current)].effective;
        assert!(!cpu.above(effective), "somebody above the running one");
    }
    assert_eq!(state(s, 0), State::Free);
}

fn waiting(s: &Fake) {
    let mut queued = [0; 2];
    for (index, endpoint) in s.endpoints.iter().enumerate() {
        let members: Vec<u8> = endpoint.list.iter(&s.threads).collect();
        assert!(members.is_empty() || endpoint.header.used);
        let (wanted, slot) = match endpoint.queue {
            Queue::Senders => (State::Sending, 0),
            Queue::Receivers => (State::Receiving, 1),
        };
        queued[slot] += members.len();
        for thread in &members {
            assert_eq!(state(s, *thread), wanted);
            assert_eq!(usize::from(s.threads[usize::from(*thread)].peer), index);
        }
        let priority = |t: &u8| s.threads[usize::from(*t)].effective;
        if endpoint.queue == Queue::Senders {
            assert!(
                members.is_sorted_by_key(|t| 255 - priority(t)),
                "senders out of order"
            );
        }
    }
    let count = |wanted| s.threads.iter().filter(|t| t.state == wanted).count();
    assert_eq!(
        queued,
        [count(State::Sending), count(State::Receiving)],
        "a lost wake-up"
    );
    for (n, notification) in s.notifications.iter().enumerate() {
        let (waiter, bound) = (notification.waiter, notification.bound);
        if waiter != 0 {
            assert_eq!(state(s, waiter), State::Waiting);
            assert_eq!(usize::from(s.threads[usize::from(waiter)].peer), n);
        }
        if bound != 0 {
            assert_eq!(usize::from(s.threads[usize::from(bound)].bound), n);
        }
        let asleep = waiter != 0 || (bound != 0 && state(s, bound) == State::Receiving);
        assert!(notification.bits == 0 || !asleep, "a lost wake-up");
    }
    for (index, t) in s.threads.iter().enumerate() {
        if t.caller != 0 {
            let caller = &s.threads[usize::from(t.caller)];
            assert_eq!(
                (caller.state, usize::from(caller.peer)),
                (State::Awaiting, index)
            );
        }
        if t.state == State::Awaiting {
            assert_eq!(usize::from(s.threads[usize::from(t.peer)].caller), index);
        }
        assert!(
            !t.faults() || matches!(t.state, State::Sending | State::Awaiting),
            "thread {index} waits for a page, and nobody brings it"
        );
        if t.deadline != 0 {
            assert!(
                s.earliest != 0 && s.earliest <= t.deadline,
                "a deadline that is forgotten"
            );
        }
    }
}

fn priorities(s: &Fake) {
    for (index, t) in (0..=u8::MAX).zip(&s.threads) {
        if t.state != State::Free {
            assert_eq!(t.effective, s.due(index), "priority of thread {index}");
        }
    }
}

fn references(s: &Fake) {
    let mut refs = [[0u16; OBJECTS]; 10];
    let mut mapped = [0u16; OBJECTS];
    for space in &s.spaces {
        assert!(space.life == Life::Alive || space.handles.used().count() == 0);
        for entry in space.handles.used() {
            let object = entry.object();
            if s.generation(object) == entry.generation {
                refs[object.kind as usize][usize::from(object.index)] += 1;
            }
        }
        for mapping in space.mappings.iter().filter(|m| m.address != 0) {
            assert_eq!(space.life, Life::Alive);
            if mapping.region == 0 {
                continue;
            }
            mapped[usize::from(mapping.region)] += 1;
        }
        assert!(space.pages <= space.quota);
    }
    for n in 0..OBJECTS {
        assert_eq!(s.endpoints[n].header.refs, refs[Kind::Endpoint as usize][n]);
        assert_eq!(
            s.notifications[n].header.refs,
            refs[Kind::Notification as usize][n]
        );
        assert_eq!(s.regions[n].header.refs, refs[Kind::Region as usize][n]);
        assert_eq!(s.regions[n].mapped, mapped[n], "mappings of region {n}");
        assert_eq!(s.endpoints[n].header.used, s.endpoints[n].header.refs != 0);
        let region = &s.regions[n];
        assert_eq!(
            region.header.used,
            region.header.refs != 0 || region.mapped != 0 || region.copies != 0
        );
    }
    let grants = &s.grants;
    let headers = s.interrupts.iter().map(|interrupt| &interrupt.header);
    let kinds: [(Kind, Vec<_>); 4] = [
        (Kind::Interrupt, headers.collect()),
        (Kind::HostChannel, grants.channels.iter().collect()),
        (Kind::Evidence, grants.evidence.iter().collect()),
        (Kind::Inspection, grants.inspections.iter().collect()),
    ];
    for (kind, headers) in kinds {
        for (n, header) in headers.iter().enumerate() {
            assert_eq!(header.refs, refs[kind as usize][n], "{kind:?} {n}");
            assert_eq!(header.used, header.refs != 0, "{kind:?} {n}");
        }
    }
    for (n, space) in s.spaces.iter().enumerate() {
        assert_eq!(
            space.refs,
            refs[Kind::AddressSpace as usize][n],
            "handles to process {n}"
        );
        let of = |t: &&super::super::thread::Thread<_>| {
            t.state != State::Free && usize::from(t.space) == n
        };
        let threads = s.threads[..THREADS].iter().filter(of).count();
        assert_eq!(usize::from(space.threads), threads);
        assert!(
            space.life != Life::Alive || n == 0 || space.refs != 0,
            "an orphan"
        );
    }
}

/// What regions know of their mappings and copies, and what must never be: writable and executable
/// at once, writable while copies rely on it, a copy of a copy, executable where the host may write.
fn regions(s: &Fake) {
    let mut of = [[0u16; OBJECTS]; 3];
    for mapping in s.spaces.iter().flat_map(|space| &space.mappings) {
        let region = usize::from(mapping.region);
        of[0][region] += u16::from(mapping.access == Use::Write);
        of[1][region] += u16::from(mapping.access == Use::Execute);
    }
    for region in s.regions.iter().filter(|region| region.header.used) {
        if let Origin::Copy(source) = region.origin {
            of[2][usize::from(source)] += 1;
        }
    }
    for (n, region) in s.regions.iter().enumerate().skip(1) {
        let Region {
            writable,
            executable,
            copies,
            origin,
            ..
        } = *region;
        assert_eq!([writable, executable, copies], of.map(|counts| counts[n]));
        assert!(writable == 0 || executable == 0, "W and X");
        assert!(copies == 0 || (writable == 0 && origin == Origin::Zero));
        assert!(executable == 0 || origin != Origin::Shared);
    }
}

/// What a process is charged is what it has: its root table, its regions, its children's quotas.
fn quotas(s: &Fake) {
    let mut due = [(0, 0); SPACES];
    for region in s.regions.iter().filter(|region| region.header.used) {
        if let Some(due) = due.get_mut(usize::from(region.header.owner)) {
            let lists = list_pages(region.pages);
            *due = (due.0 + region.pages + lists, due.1 + lists);
        }
    }
    for child in s.spaces.iter().skip(1) {
        let parent = usize::from(child.parent);
        let generation = s.spaces[parent].generation;
        if child.life == Life::Alive && child.parent_generation == generation {
            due[parent].0 += child.quota;
        }
    }
    for (n, space) in s.spaces.iter().enumerate() {
        let root = u64::from(n != 0);
        if space.life == Life::Alive {
            let charged = (space.pages, space.overhead);
            assert_eq!(charged, (due[n].0 + root, due[n].1 + root), "process {n}");
        }
    }
}
