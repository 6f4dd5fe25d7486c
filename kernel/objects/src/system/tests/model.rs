//! Handles and objects against a reference model: maps, unique names, no generations.

mod interrupts;
mod memory;
mod reference;

use super::super::objects::Reclaim;
use super::super::space::Life;
use super::check::check;
use super::fake::{Back, Fake, Registers, system};
use crate::system::thread::Context;
use proptest::prelude::*;
use reference::{Model, Named, Process};
use std::boxed::Box;
use std::collections::BTreeMap;
use std::vec;
use std::vec::Vec;
use tessera_abi::number::{self, REGION_SHARED};
use tessera_abi::{error::Error, kind::Kind, rights};

#[derive(Clone, Debug)]
enum Op {
    Create(bool),
    Region(u64, u8),
    Space(u64),
    Duplicate(u8, u8, u64),
    Give(u8, u8, u8, u64),
    Close(u8),
    Revoke(u8),
    Kill(u8),
    Become(u8),
    Map(u8, u8),
    Derive(u64, u8),
    Shared(u64),
    Own(u64),
    Guard(u8),
    Move(u8),
    Grant(u8),
    Interrupt(u8),
    Attach(u8, u8),
    Acknowledge(u8),
    Deliver(u8),
    /// Another processor works.
    Processor(u8),
}

fn ops() -> impl Strategy<Value = Vec<Op>> {
    let handle = || 0u8..20;
    let op = prop_oneof![
        any::<bool>().prop_map(Op::Create),
        (0u64..6, handle()).prop_map(|(p, h)| Op::Region(p, h)),
        (0u64..30).prop_map(Op::Space),
        (handle(), 0u8..=0xFF, 0u64..3).prop_map(|(h, r, b)| Op::Duplicate(h, r, b)),
        (handle(), handle(), 0u8..=0x7F, 0u64..3).prop_map(|(s, h, r, b)| Op::Give(s, h, r, b)),
        (handle(), Just(rights::ALL), Just(0u64)).prop_map(|(h, r, b)| Op::Duplicate(h, r, b)),
        (handle(), handle(), Just(rights::ALL), Just(0u64))
            .prop_map(|(s, h, r, b)| Op::Give(s, h, r, b)),
        handle().prop_map(Op::Close),
        handle().prop_map(Op::Revoke),
        handle().prop_map(Op::Kill),
        handle().prop_map(Op::Become),
        (0u8..5, 0u8..4).prop_map(|(h, a)| Op::Map(h, a)),
        (0u8..5, 0u8..4).prop_map(|(h, a)| Op::Map(h, a)),
        (handle(), 0u8..4).prop_map(|(h, a)| Op::Map(h, a)),
        (1u64..20).prop_map(Op::Own),
        (0u64..20, handle()).prop_map(|(p, h)| Op::Derive(p, h)),
        (0u64..20).prop_map(Op::Shared),
        handle().prop_map(Op::Guard),
        handle().prop_map(Op::Move),
        (0u8..3).prop_map(Op::Grant),
        (0u8..5).prop_map(Op::Interrupt),
        (handle(), handle()).prop_map(|(i, n)| Op::Attach(i, n)),
        handle().prop_map(Op::Acknowledge),
        (1u8..5).prop_map(Op::Deliver),
        (0u8..4).prop_map(Op::Processor),
    ];
    prop::collection::vec(op, 1..120)
}

/// The system, the model, and which process of which is the same.
struct Pair {
    s: Box<Fake>,
    m: Model,
    back: Back,
    /// Name of the process in each slot.
    names: BTreeMap<u8, u64>,
    /// Name of the running thread's process.
    me: u64,
    cpus: u8,
}

impl Pair {
    fn new(cpus: u8) -> Self {
        let mut s = system(100);
        (1..cpus).for_each(|cpu| s.join(cpu));
        let mut m = Model::default();
        let first = Process {
            alive: true,
            ..Process::default()
        };
        m.processes.insert(0, first);
        m.next = 1;
        Self {
            s,
            m,
            back: Back::default(),
            names: [(0, 0)].into(),
            me: 0,
            cpus,
        }
    }

    /// The `n`-th handle that the running process ever saw, or nonsense.
    fn handle(&self, n: u8) -> u32 {
        let handles = &self.m.processes[&self.me].handles;
        handles
            .keys()
            .nth(n.into())
            .copied()
            .unwrap_or(u32::from(n) * 77)
    }

    fn fresh(&mut self, kind: Kind, handle: u32) -> u64 {
        let name = self.m.next;
        self.m.next += 1;
        let named = Named {
            kind,
            name,
            rights: rights::ALL,
            badge: 0,
        };
        self.note(self.me, handle, named);
        name
    }

    fn note(&mut self, process: u64, handle: u32, named: Named) {
        let handles = &mut self.m.processes.get_mut(&process).unwrap().handles;
        // The system may have taken a dead handle's slot; a living one's never.
        let slot = handle % 64;
        let old: Vec<u32> = handles.keys().copied().filter(|h| h % 64 == slot).collect();
        for old in old {
            let gone = self
                .m
                .processes
                .get_mut(&process)
                .unwrap()
                .handles
                .remove(&old)
                .unwrap();
            assert!(!self.m.live(&gone), "a living handle was overwritten");
        }
        self.m
            .processes
            .get_mut(&process)
            .unwrap()
            .handles
            .insert(handle, named);
    }

    fn step(&mut self, op: &Op) {
        match *op {
            Op::Create(endpoint) => {
                let kind = if endpoint {
                    Kind::Endpoint
                } else {
                    Kind::Notification
                };
                if let Ok(handle) = self.s.create_object(kind) {
                    let name = self.fresh(kind, handle);
                    self.m.objects.insert(name, (self.me, 0));
                }
            }
            Op::Region(pages, space) => self.region(pages, space),
            Op::Space(quota) => self.space(quota),
            Op::Duplicate(n, wanted, badge) => {
                let (me, handle) = (self.me, self.handle(n));
                let result = self.s.duplicate(handle.into(), wanted.into(), badge);
                self.copied(me, handle, rights::DUPLICATE, (wanted, badge), result);
            }
            Op::Give(space, n, wanted, badge) => self.give(space, n, wanted, badge),
            Op::Close(n) => {
                let handle = self.handle(n);
                let known = self
                    .m
                    .processes
                    .get_mut(&self.me)
                    .unwrap()
                    .handles
                    .remove(&handle);
                let result = self.s.close(handle.into(), &mut self.back);
                assert_eq!(result, known.map(|_| 0).ok_or(Error::BadHandle));
            }
            Op::Revoke(n) => self.revoke(n),
            Op::Kill(n) => self.kill(n),
            Op::Become(n) => self.become_process(n),
            Op::Map(n, access) => self.map(n, access),
            Op::Derive(pages, n) => {
                let handle = self.handle(n);
                self.derive(pages, handle.into());
            }
            Op::Own(pages) => self.derive(pages, 0),
            Op::Shared(pages) => self.derive(pages, REGION_SHARED),
            Op::Guard(n) => self.guard(n),
            Op::Move(n) => self.move_to_self(n),
            Op::Grant(kind) => self.grant(kind),
            Op::Interrupt(index) => self.interrupt(index),
            Op::Attach(n, told) => self.attach(n, told),
            Op::Acknowledge(n) => self.acknowledge(n),
            Op::Deliver(index) => self.deliver(index),
            Op::Processor(n) => self.s.enter(n % self.cpus),
        }
        self.m.sweep();
        self.m.forget_copies();
        self.s.kicks();
        self.settle();
        self.compare();
    }

    fn copied(
        &mut self,
        to: u64,
        handle: u32,
        needed: u8,
        (wanted, badge): (u8, u64),
        result: Result<u32, Error>,
    ) {
        let expected = self.m.get(self.me, handle).and_then(|named| {
            if named.rights & needed == 0 || wanted & !named.rights != 0 {
                return Err(Error::NoRight);
            }
            if badge != 0 && (named.badge != 0 || named.kind != Kind::Endpoint) {
                return Err(Error::BadArgument);
            }
            let badge = if badge == 0 { named.badge } else { badge };
            Ok(Named {
                rights: wanted,
                badge,
                ..named
            })
        });
        match (expected, result) {
            (Ok(_), Err(Error::TableFull)) => {
                let full = |h: &&Named| self.m.live(h);
                assert_eq!(
                    self.m.processes[&to].handles.values().filter(full).count(),
                    number::HANDLES
                );
            }
            (Ok(named), Ok(new)) => self.note(to, new, named),
            (expected, result) => assert_eq!(result.map(|_| ()), expected.map(|_| ())),
        }
    }

    fn process_of(&self, handle: u32, right: u8) -> Result<u64, Error> {
        let named = self.m.get(self.me, handle)?;
        match named.kind {
            Kind::AddressSpace if named.rights & right == right => Ok(named.name),
            Kind::AddressSpace => Err(Error::NoRight),
            _ => Err(Error::WrongKind),
        }
    }

    fn give(&mut self, space: u8, n: u8, wanted: u8, badge: u64) {
        let (to, handle) = (self.handle(space), self.handle(n));
        let result = self.s.give(to.into(), handle.into(), wanted.into(), badge);
        match self.process_of(to, rights::MANAGE) {
            Err(error) => assert_eq!(result, Err(error)),
            Ok(name) if !self.m.processes[&name].alive => assert_eq!(result, Err(Error::BadHandle)),
            Ok(name) => self.copied(name, handle, rights::TRANSFER, (wanted, badge), result),
        }
    }

    fn space(&mut self, quota: u64) {
        let Ok(handle) = self.s.create_space(quota, 0, 0, self.m.next) else {
            return;
        };
        let index = self.s.object(handle.into(), Kind::AddressSpace, 0).unwrap();
        let name = self.fresh(Kind::AddressSpace, handle);
        self.names.insert(index, name);
        self.m.processes.insert(
            name,
            Process {
                alive: true,
                ..Process::default()
            },
        );
    }

    fn revoke(&mut self, n: u8) {
        let handle = self.handle(n);
        let result = self.s.revoke(handle.into());
        let expected = self
            .m
            .get(self.me, handle)
            .and_then(|named| match named.kind {
                Kind::AddressSpace => Err(Error::WrongKind),
                _ if named.rights & rights::MANAGE == 0 => Err(Error::NoRight),
                _ => Ok(named),
            });
        assert_eq!(result.map(|_| ()), expected.map(|_| ()));
        if let Ok(named) = expected {
            // To the model it is a new object that only this handle names.
            let object = self.m.objects.remove(&named.name).unwrap();
            let name = self.m.next;
            for (interrupt, told, _) in self.m.interrupts.values_mut() {
                if *interrupt == named.name {
                    (*interrupt, *told) = (name, 0);
                }
            }
            self.m.next += 1;
            self.m.objects.insert(name, object);
            self.m.rename(named.name, name);
            let handles = &mut self.m.processes.get_mut(&self.me).unwrap().handles;
            handles.insert(handle, Named { name, ..named });
        }
    }

    fn kill(&mut self, n: u8) {
        let handle = self.handle(n);
        let Ok(name) = self.process_of(handle, rights::MANAGE) else {
            return;
        };
        if name == 0 {
            return;
        }
        self.s.kill(handle.into(), &mut self.back).unwrap();
        self.m.end(name);
    }

    /// A processor without a thread looks, and else the first one that has a thread works.
    fn settle(&mut self) {
        let own = self.s.me;
        let works = (0..self.cpus)
            .map(|cpu| (own + cpu) % self.cpus)
            .find(|cpu| {
                self.s.enter(*cpu);
                self.s.preempt();
                self.s.current() != 0
            });
        works.expect("nobody runs");
        self.s.kicks();
        self.me = self.names[&self.s.current_space()];
    }

    /// From now on a thread of another process runs.
    fn become_process(&mut self, n: u8) {
        let handle = self.handle(n);
        let Ok(name) = self.process_of(handle, rights::MANAGE) else {
            return;
        };
        let index = self.s.object(handle.into(), Kind::AddressSpace, 0).unwrap();
        if !self.m.processes[&name].alive
            || self.s.create_thread(index, Registers::EMPTY, 30).is_err()
        {
            return;
        }
        self.s.kicks();
        // Where it waits among its equals, their turns end.
        for cpu in (0..self.cpus).cycle() {
            self.s.enter(cpu);
            self.s.preempt();
            if self.s.current_space() == index && self.s.current() != 0 {
                break;
            }
            self.s.yield_now();
        }
        self.me = name;
    }

    /// A handle in a message moves, here within one process.
    fn move_to_self(&mut self, n: u8) {
        let handle = self.handle(n);
        let me = self.s.current();
        self.s
            .registers(0, tessera_abi::message::tag(0, handle), [0; 2]);
        let result = self.s.deliver(me, me, 0);
        let expected = match handle {
            0 => return,
            _ => self.m.get(self.me, handle),
        };
        match expected.and_then(|named| match named.rights & rights::TRANSFER {
            0 => Err(Error::NoRight),
            _ => Ok(named),
        }) {
            Err(error) => assert_eq!(result, Err(error)),
            Ok(named) if result.is_ok() => {
                let arrived = tessera_abi::message::handle(self.s.thread(me).context.tag);
                self.m
                    .processes
                    .get_mut(&self.me)
                    .unwrap()
                    .handles
                    .remove(&handle);
                self.note(self.me, arrived, named);
            }
            Ok(_) => assert_eq!(result, Err(Error::TableFull)),
        }
    }

    fn compare(&mut self) {
        check(&self.s);
        self.names
            .retain(|index, _| self.s.spaces[usize::from(*index)].life != Life::Free);
        for (index, name) in &self.names {
            let space = &self.s.spaces[usize::from(*index)];
            let process = &self.m.processes[name];
            assert_eq!(space.life == Life::Alive, process.alive, "process {name}");
            for (handle, named) in &process.handles {
                let entry = self.s.entry(*index, u64::from(*handle));
                assert_eq!(
                    entry.is_ok(),
                    self.m.live(named),
                    "handle {handle:#x} of {name}"
                );
                if let Ok(entry) = entry {
                    let seen = (entry.object().kind, entry.rights(), entry.badge);
                    assert_eq!(seen, (named.kind, named.rights, named.badge));
                }
            }
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(400))]
    #[test]
    fn handles_behave_like_the_model(ops in ops(), cpus in prop::sample::select(&[1u8, 2, 4])) {
        let mut pair = Pair::new(cpus);
        for op in &ops {
            pair.step(op);
        }
        pair.back.region(0, 0, false);
    }
}
