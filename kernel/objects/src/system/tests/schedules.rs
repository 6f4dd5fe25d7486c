//! Random schedules of clients, servers and a killer: nothing acknowledged is lost, nobody is
//! forgotten, and when all have ended the counts are those of the start.

use super::super::mapping::Touch;
use super::super::region::Origin;
use super::super::space::{Life, Use};
use super::super::thread::{Context, Fault, State};
use super::check::{check, counts, quick};
use super::fake::{Back, Fake, Registers, system};
use super::random::{Random, Replay, seeds};
use std::vec::Vec;
use tessera_abi::{error::Error, kind::Kind, message, number, rights};

/// Schedules that one run makes.
const SCHEDULES: u64 = 10_000;
const STEPS: u64 = 120;
/// Where processes have their region.
const PAGED: u64 = 0x40_0000;

/// What a run knows of the threads that it drives.
struct Run {
    s: std::boxed::Box<Fake>,
    back: Back,
    random: Random,
    now: u64,
    endpoint: u64,
    notification: u64,
    /// A region of which there are copies.
    region: u64,
    /// Requests that a client sent and that were not answered yet, by thread.
    sent: [Option<u64>; 256],
    /// Threads in a receive, and the request that a server has to answer.
    receives: [bool; 256],
    owed: [u64; 256],
    acknowledged: u64,
    /// What a thread that touched a page of a pager looked like then, and the page.
    faulting: [Option<(Registers, Fault)>; 256],
    /// Its pager did not say no.
    granted: [bool; 256],
    paged: u64,
    unpaged: u64,
    /// Never takes the short way of calls and replies.
    slowly: bool,
    regions: usize,
    /// Those that the host sees.
    shared: usize,
    cpus: u8,
}

impl Run {
    fn new(seed: u64, slowly: bool, cpus: u8) -> Self {
        let mut s = system(1_000);
        (1..cpus).for_each(|cpu| s.join(cpu));
        let endpoint = s.create_object(Kind::Endpoint).unwrap().into();
        let notification = s.create_object(Kind::Notification).unwrap().into();
        let region = s.create_region(3, 0, 0).unwrap().0.into();
        Self {
            s,
            back: Back::default(),
            random: Random(seed),
            now: 10,
            endpoint,
            notification,
            region,
            sent: [None; 256],
            receives: [false; 256],
            owed: [0; 256],
            acknowledged: 0,
            faulting: [None; 256],
            granted: [false; 256],
            paged: 0,
            unpaged: 0,
            slowly,
            regions: 1,
            shared: 0,
            cpus,
        }
    }

    /// The first process starts another one with a thread, an endpoint handle, a region.
    fn spawn(&mut self) {
        let pages = 1 + self.random.below(20);
        let made = self
            .s
            .create_space(pages, self.notification, 1, 2000 + self.now);
        let Ok(handle) = made else { return };
        let handle = u64::from(handle);
        let space = self.s.object(handle, Kind::AddressSpace, 0).unwrap();
        let all = u64::from(rights::ALL);
        let badge = 1 + u64::from(space);
        let given = self.s.give(handle, self.endpoint, all, badge).unwrap();
        assert_eq!(given, 1, "the first handle of a process is 1");
        let origin = match self.random.below(6) {
            0 => 0,
            1 => self.region,
            2 => number::REGION_SHARED,
            _ => self.endpoint,
        };
        let size = 1 + self.random.below(9);
        if let Ok((region, index)) = self.s.create_region(size, space, origin) {
            self.regions += 1;
            self.shared += usize::from(origin == number::REGION_SHARED);
            let _full = self.s.map(space, index, PAGED, Use::Write);
            let elsewhere = 0x1000_0000 + self.now * 0x10_0000;
            let _full = self.s.map(0, index, elsewhere, Use::Read);
            if self.random.below(2) == 0 {
                self.s.close(region.into(), &mut self.back).unwrap();
            }
        }
        let priority = 1 + self.random.below(8);
        let _full = self.s.start_thread(space, Registers::EMPTY, priority);
    }

    /// One thing that the running thread does.
    fn act(&mut self) {
        let me = self.s.current();
        let space = self.s.current_space();
        let deadline = match self.random.below(4) {
            0 => self.now + self.random.below(20),
            _ => 0,
        };
        self.settle(me);
        if space == 0 {
            return self.act_first(deadline);
        }
        if let Some((registers, fault)) = self.faulting[usize::from(me)].take() {
            assert_eq!(self.s.thread(me).context, registers, "touched registers");
            return self.touch(me, fault);
        }
        let word = self.random.next() >> 1;
        match self.random.below(10) {
            8.. => {
                let address = PAGED + word % 10 * 4096;
                if let Some(place) = self.s.reached(space, address, Touch::Write) {
                    self.s.registers(word, word, [word; 2]);
                    let (region, page) = (place.region, place.page as u32);
                    let origin = self.s.regions[usize::from(region)].origin;
                    let paged = !matches!(origin, Origin::Zero | Origin::Shared);
                    self.touch_first(
                        me,
                        Fault {
                            address,
                            page,
                            touch: message::TOUCH_WRITE,
                            region,
                        },
                        paged,
                    );
                }
            }
            0..3 => {
                self.s
                    .registers(1, message::tag(space.into(), 0), [word, 0]);
                self.sent[usize::from(me)] = Some(word);
                match self.slowly {
                    true => self.s.call_slowly(word.is_multiple_of(2), deadline),
                    false if word.is_multiple_of(2) => self.s.call::<true>(deadline),
                    false => self.s.call::<false>(deadline),
                }
            }
            3..6 => {
                // Answers with the word plus one, if a request is there.
                let answer = self.owed[usize::from(me)].wrapping_add(1);
                self.receives[usize::from(me)] = true;
                let label = [0, message::FAULT_END][word as usize / 2 % 2];
                let drops = self.random.below(3);
                let caller = self.s.thread(me).caller;
                if self.s.thread(caller).faults() {
                    self.granted[usize::from(caller)] = drops != 0 && label == 0;
                }
                self.s.registers(1, message::tag(label, 0), [answer, 0]);
                match drops {
                    0 => self.s.receive(deadline),
                    _ if self.slowly => self
                        .s
                        .reply_receive_slowly(word.is_multiple_of(2), deadline),
                    _ if word.is_multiple_of(2) => self.s.reply_receive::<true>(deadline),
                    _ => self.s.reply_receive::<false>(deadline),
                }
            }
            6 => {
                let _quota = self.s.start_thread(space, Registers::EMPTY, 1);
            }
            _ => self
                .s
                .kill_thread(me, number::STATUS_EXITED, &mut self.back),
        }
    }

    /// A page is touched for the first time: whose region has no pager does not ask for it.
    fn touch_first(&mut self, me: u8, fault: Fault, paged: bool) {
        let registers = self.s.thread(me).context;
        let asked = self.s.fault(fault);
        assert!(paged || !asked);
        if asked {
            self.faulting[usize::from(me)] = Some((registers, fault));
        }
        // Until its pager says otherwise.
        self.granted[usize::from(me)] = false;
    }

    /// A page is touched again: the pager is asked again, or the process is at its end.
    fn touch(&mut self, me: u8, fault: Fault) {
        let (registers, space) = (self.s.thread(me).context, self.s.current_space());
        let granted = std::mem::take(&mut self.granted[usize::from(me)]);
        if granted && self.random.below(2) == 0 {
            self.paged += 1;
            return;
        }
        assert_eq!(self.s.fault(fault), granted, "thread {me}");
        match granted {
            true => self.faulting[usize::from(me)] = Some((registers, fault)),
            false => {
                self.unpaged += 1;
                self.s
                    .kill_space(space, number::STATUS_UNPAGED, &mut self.back);
            }
        }
    }

    /// Whatever a client's call brought: the right answer, or an error that says that none came.
    fn settle(&mut self, me: u8) {
        let context = self.s.thread(me).context;
        if std::mem::take(&mut self.receives[usize::from(me)])
            && matches!(context.result, message::MESSAGE | message::SHORT)
        {
            self.owed[usize::from(me)] = context.words[0];
        }
        let Some(word) = self.sent[usize::from(me)].take() else {
            return;
        };
        match Error::result(context.result) {
            Ok(result) => {
                assert!(matches!(result, message::MESSAGE | message::SHORT));
                assert_eq!(
                    context.words[0],
                    word.wrapping_add(1),
                    "another one's answer"
                );
                self.acknowledged += 1;
            }
            Err(Error::TimedOut | Error::PeerDied | Error::Cancelled | Error::BadHandle) => {}
            Err(error) => panic!("{error:?}"),
        }
    }

    fn act_first(&mut self, deadline: u64) {
        match self.random.below(4) {
            0 => self.spawn(),
            1 => self.s.yield_now(),
            2 => self.s.sleep(self.now + 1 + self.random.below(5)),
            _ => {
                self.s.registers(self.notification, 0, [0; 2]);
                self.s.receive(if deadline == 0 {
                    self.now + 9
                } else {
                    deadline
                });
            }
        }
    }

    fn running(&self) -> Vec<u8> {
        self.s.cpus.iter().map(|cpu| cpu.current).collect()
    }

    /// What another processor runs changes in one way only: it was stopped.
    fn others_go_on(&self, before: &[u8]) {
        for (cpu, (before, after)) in (0..).zip(before.iter().zip(self.running())) {
            let stopped = self.back.stopped.contains(&cpu);
            match cpu == self.s.me {
                true => assert!(!stopped, "it stopped itself"),
                false => assert_eq!(
                    (*before != after, stopped),
                    (stopped, stopped && after == 0)
                ),
            }
        }
    }

    /// Somebody outside ends a thread or a process at any point.
    fn kill(&mut self) {
        let thread = 2 + self.random.below(254) as u8;
        if self.s.thread(thread).state == State::Free {
            return;
        }
        let space = self.s.thread(thread).space;
        match self.random.below(3) {
            0 => self.s.cancel(thread),
            1 => {
                self.sent[usize::from(thread)] = None;
                self.s
                    .kill_thread(thread, number::STATUS_KILLED, &mut self.back);
            }
            _ if space == 0 => {}
            _ => self
                .s
                .kill_space(space, number::STATUS_KILLED, &mut self.back),
        }
    }

    /// A processor does something: its own, an interrupt, or a kill of anybody.
    fn step(&mut self) {
        if self.cpus > 1 {
            let cpu = self.random.below(self.cpus.into()) as u8;
            self.s.enter(cpu);
            // It was told to look, and is interrupted now, or later.
            if self.s.cpu().kicked && self.random.below(2) == 0 {
                self.s.preempt();
            }
        }
        let before = self.running();
        self.back.stopped.clear();
        match self.random.below(10) {
            0 => {
                self.now += 1 + self.random.below(4);
                self.s.tick(self.now);
            }
            1 => self.kill(),
            _ if self.s.current() != 0 => self.act(),
            _ => {
                self.now += 10;
                self.s.tick(self.now);
            }
        }
        self.s.kicks();
        self.others_go_on(&before);
        for thread in 1..256 {
            if self.s.threads[thread].state == State::Free {
                self.sent[thread] = None;
                self.receives[thread] = false;
                self.faulting[thread] = None;
            }
        }
        match self.random.below(8) {
            0 => check(&self.s),
            _ => quick(&self.s),
        }
    }
}

/// With one, two and four processors in turn.
#[test]
fn ten_thousand_schedules_with_kills_at_any_point() {
    let (mut acknowledged, mut paged, mut unpaged) = (0, 0, 0);
    for seed in seeds(SCHEDULES) {
        let _replay = Replay("schedules", seed);
        let mut run = Run::new(seed, false, [1, 2, 4][seed as usize % 3]);
        for _ in 0..STEPS {
            run.step();
        }
        acknowledged += run.acknowledged;
        paged += run.paged;
        unpaged += run.unpaged;
        finish(run);
    }
    let enough = acknowledged > SCHEDULES && paged > SCHEDULES / 20 && unpaged > SCHEDULES / 10;
    let counts = [acknowledged, paged, unpaged];
    assert!(
        std::env::var("TESSERA_SEED").is_ok() || enough,
        "{counts:?}"
    );
}

/// The short way is only an abbreviation: with and without it, everything is the same.
#[test]
fn the_short_way_changes_nothing() {
    for seed in seeds(500) {
        let _replay = Replay("the_short_way", seed);
        let (mut short, mut long) = (Run::new(seed, false, 1), Run::new(seed, true, 1));
        for _ in 0..STEPS {
            short.step();
            long.step();
            assert_eq!(short.s.current(), long.s.current());
            for (a, b) in short.s.threads.iter().zip(&long.s.threads) {
                assert_eq!(
                    (a.context, a.state, a.effective),
                    (b.context, b.state, b.effective)
                );
                assert_eq!((a.caller, a.deadline), (b.caller, b.deadline));
            }
        }
    }
}

/// Ends every process; what was there must be gone, each thing once.
fn finish(mut run: Run) {
    for index in (0..64).rev() {
        if run.s.spaces[index].life == Life::Alive {
            run.s
                .kill_space(index as u8, number::STATUS_KILLED, &mut run.back);
            run.s.kicks();
            check(&run.s);
        }
    }
    let left = counts(&run.s);
    assert_eq!(
        (
            left.threads,
            left.endpoints,
            left.notifications,
            left.regions,
            left.handles
        ),
        (0, 0, 0, 0, 0)
    );
    assert!(
        run.s
            .spaces
            .iter()
            .skip(1)
            .all(|space| space.life == Life::Free)
    );
    assert_eq!(
        (run.back.regions.len(), run.back.shared),
        (run.regions, run.shared),
        "a region's frames come back once, and as what they are"
    );
    let mut spaces = std::mem::take(&mut run.back.spaces);
    spaces.sort_unstable();
    assert!(
        spaces.is_sorted_by(|a, b| a < b || *a >= 2000),
        "tables twice"
    );
}
