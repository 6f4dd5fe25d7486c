//! The kernel's lock, and how the processor that has it asks another one for something: the
//! lock-free part of the kernel, over words that `loom` can replace in the tests.
//!
//! The lock is one word, taken by one exchange. It is not fair: a processor that a host does not run
//! would hold up all behind it in a queue, and the kernel is never kept long.
//!
//! Who has the lock may ask a processor to give up translations. That one answers in the interrupt
//! that it is sent, or, while it waits for the lock with interrupts off, between two looks at it. So
//! nobody waits for a processor that waits for him.

use core::sync::atomic::{AtomicU32, Ordering};

/// A word that several processors use.
pub trait Word {
    /// Its value; what was written before it was stored is seen.
    fn load(&self) -> u32;
    /// Stores; what was written before is seen by who loads it.
    fn store(&self, value: u32);
    /// Stores where it is `FREE`; whether it was. As `load` then.
    fn claim(&self, value: u32) -> bool;
}

impl Word for AtomicU32 {
    #[inline(always)]
    fn load(&self) -> u32 {
        AtomicU32::load(self, Ordering::Acquire)
    }
    #[inline(always)]
    fn store(&self, value: u32) {
        AtomicU32::store(self, value, Ordering::Release);
    }
    #[inline(always)]
    fn claim(&self, value: u32) -> bool {
        let old = self.compare_exchange(FREE, value, Ordering::Acquire, Ordering::Relaxed);
        old.is_ok()
    }
}

/// The value of a lock that nobody has.
pub const FREE: u32 = u32::MAX;

/// A lock: `FREE`, or who has it.
#[derive(Debug)]
pub struct Lock<W>(pub W);

impl<W: Word> Lock<W> {
    /// Takes it for `who`, if it is free.
    #[inline(always)]
    pub fn try_take(&self, who: u32) -> bool {
        self.0.claim(who)
    }

    /// Takes it, calling `wait` with the one who has it while it is not free.
    pub fn take(&self, who: u32, mut wait: impl FnMut(u32)) {
        loop {
            match self.0.load() {
                FREE if self.0.claim(who) => return,
                other => wait(other),
            }
        }
    }

    /// Gives it back.
    #[inline(always)]
    pub fn give(&self) {
        self.0.store(FREE);
    }
}

/// What a processor is asked for: 0 for nothing. Only who has the lock asks.
#[derive(Debug)]
pub struct Request<W>(pub W);

impl<W: Word> Request<W> {
    /// Asks for `what`, which is not 0.
    pub fn ask(&self, what: u32) {
        self.0.store(what);
    }

    /// Whether it was done.
    pub fn done(&self) -> bool {
        self.0.load() == 0
    }

    /// Does what is asked for, if anything, and says so.
    pub fn answer(&self, act: impl FnOnce(u32)) {
        let what = self.0.load();
        if what != 0 {
            act(what);
            self.0.store(0);
        }
    }
}

/// How long to wait for an answer.
#[derive(Clone, Copy, Debug)]
pub struct Patience {
    /// How often a processor is told.
    pub times: u32,
    /// Looks each time.
    pub looks: u32,
}

/// Asks those processors, a bit each, for `what`, and waits until all have done it. `tell` interrupts the
/// ones that are left, `look` passes the time between two looks. False where the patience ends first: a host
/// withholds interrupts, or processors.
#[inline(always)]
pub fn ask<W: Word>(
    requests: &[Request<W>],
    processors: u8,
    what: u32,
    patience: Patience,
    mut tell: impl FnMut(u8),
    mut look: impl FnMut(),
) -> bool {
    let asked = |number: &usize| processors >> number & 1 == 1;
    let left = || {
        let numbers = (0..requests.len()).filter(asked);
        numbers
            .filter(|number| !requests[*number].done())
            .fold(0, |left, number| left | 1 << number)
    };
    let all = (0..requests.len()).filter(asked);
    all.for_each(|number| requests[number].ask(what));
    for _ in 0..patience.times {
        tell(left());
        for _ in 0..patience.looks {
            if left() == 0 {
                return true;
            }
            look();
        }
    }
    false
}

#[cfg(test)]
#[path = "turn_tests.rs"]
mod ask_tests;

#[cfg(test)]
mod tests {
    use super::*;
    use loom::sync::Arc;
    use loom::sync::atomic::AtomicU32 as Loom;

    impl Word for Loom {
        fn load(&self) -> u32 {
            Loom::load(self, Ordering::Acquire)
        }
        fn store(&self, value: u32) {
            Loom::store(self, value, Ordering::Release);
        }
        fn claim(&self, value: u32) -> bool {
            let old = self.compare_exchange(FREE, value, Ordering::Acquire, Ordering::Relaxed);
            old.is_ok()
        }
    }

    const USED: u32 = 7;
    const FREED: u32 = 9;
    const FLUSH: u32 = 1;

    /// Two processors, a page, and the entry of a page table that leads to it. What is not ordered by
    /// lock and request may be seen in any order: those accesses are relaxed.
    struct Machine {
        lock: Lock<Loom>,
        requests: [Request<Loom>; 2],
        entry: Loom,
        page: Loom,
        /// Changed behind the lock only.
        turns: Loom,
    }

    fn machine() -> Arc<Machine> {
        let request = || Request(Loom::new(0));
        Arc::new(Machine {
            lock: Lock(Loom::new(FREE)),
            requests: [request(), request()],
            entry: Loom::new(1),
            page: Loom::new(USED),
            turns: Loom::new(0),
        })
    }

    /// A processor: whether it has the translation still.
    struct Processor<'a>(&'a Machine, usize, bool);

    impl Processor<'_> {
        /// What ring 3 does: through the translation that it has, or else through the tables.
        fn uses(&mut self) {
            self.2 = self.2 || self.0.entry.load(Ordering::Relaxed) == 1;
            self.through();
        }

        fn through(&self) {
            if self.2 {
                let page = self.0.page.load(Ordering::Relaxed);
                assert_eq!(page, USED, "a page that was freed is used");
            }
        }

        fn answer(&mut self) {
            let machine = self.0;
            machine.requests[self.1].answer(|_| {
                // Up to the flush a processor may use what it has, speculating at the least.
                self.through();
                self.2 = false;
            });
        }

        fn turn(&mut self, work: impl FnOnce(&mut Self)) {
            let machine = self.0;
            machine.lock.take(self.1 as u32, |_| {
                self.answer();
                loom::thread::yield_now();
            });
            let turns = machine.turns.load(Ordering::Relaxed);
            work(self);
            machine.turns.store(turns + 1, Ordering::Relaxed);
            machine.lock.give();
        }

        /// Unmaps the page, and frees it when nobody has a translation any more.
        fn unmaps(&mut self) {
            self.0.entry.store(0, Ordering::Relaxed);
            self.2 = false;
            let other = &self.0.requests[1 - self.1];
            other.ask(FLUSH);
            while !other.done() {
                loom::thread::yield_now();
            }
            self.0.page.store(FREED, Ordering::Relaxed);
        }
    }

    fn model(turns: u32, second: fn(&mut Processor<'_>)) {
        loom::model(move || {
            let machine = machine();
            let shared = machine.clone();
            let first = loom::thread::spawn(move || {
                Processor(&shared, 0, true).turn(Processor::unmaps);
            });
            second(&mut Processor(&machine, 1, true));
            first.join().unwrap();
            assert_eq!(machine.page.load(Ordering::Relaxed), FREED);
            assert_eq!(
                machine.turns.load(Ordering::Relaxed),
                turns,
                "a turn is lost"
            );
        });
    }

    #[test]
    fn a_page_is_freed_after_every_processor_forgot_it() {
        // In ring 3: the interrupt comes between two instructions.
        model(1, |processor| {
            processor.uses();
            while processor.0.page.load(Ordering::Relaxed) == USED {
                processor.answer();
                processor.uses();
                loom::thread::yield_now();
            }
        });
    }

    /// Acceptance ahead: one processor claims a batch behind a lock and accepts it outside; another one, that
    /// has the lock, uses a frame of it when it is done, and needs nobody's lock for that.
    #[test]
    fn a_batch_is_used_after_it_was_accepted() {
        loom::model(|| {
            let machine = machine();
            machine.page.store(FREED, Ordering::Relaxed);
            let shared = machine.clone();
            let first = loom::thread::spawn(move || {
                let take = || shared.lock.take(0, |_| loom::thread::yield_now());
                take();
                shared.turns.store(1, Ordering::Relaxed);
                shared.requests[0].ask(1);
                shared.lock.give();
                shared.requests[0].answer(|_| shared.page.store(USED, Ordering::Relaxed));
            });
            machine.lock.take(1, |_| loom::thread::yield_now());
            if machine.turns.load(Ordering::Relaxed) == 1 {
                while !machine.requests[0].done() {
                    loom::thread::yield_now();
                }
                assert_eq!(machine.page.load(Ordering::Relaxed), USED, "not accepted");
            }
            machine.lock.give();
            first.join().unwrap();
        });
    }

    #[test]
    fn who_waits_for_the_lock_answers() {
        model(2, |processor| {
            processor.uses();
            processor.turn(Processor::uses);
            // Its turn came first, so it is back in ring 3 and is interrupted there.
            while processor.0.page.load(Ordering::Relaxed) == USED {
                processor.answer();
                loom::thread::yield_now();
            }
        });
    }
}
