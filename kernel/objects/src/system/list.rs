//! Doubly linked lists of threads through the threads themselves. A thread is in one at most.
//! The links that lead out of a list at its ends are not kept.

use super::thread::{Context, THREADS, Thread};

type Threads<C> = [Thread<C>; THREADS];

/// Head and tail; a head of 0 is an empty list.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct List {
    pub head: u8,
    pub tail: u8,
}

impl List {
    pub const EMPTY: Self = Self { head: 0, tail: 0 };

    pub fn is_empty(self) -> bool {
        self.head == 0
    }

    /// Adds behind everybody.
    #[inline(always)]
    pub fn push<C: Context>(&mut self, threads: &mut Threads<C>, thread: u8) {
        if self.head == 0 {
            self.head = thread;
        } else {
            threads[usize::from(thread)].previous = self.tail;
            threads[usize::from(self.tail)].next = thread;
        }
        self.tail = thread;
    }

    /// Adds before everybody.
    pub fn push_front<C: Context>(&mut self, threads: &mut Threads<C>, thread: u8) {
        if self.head == 0 {
            self.tail = thread;
        } else {
            threads[usize::from(thread)].next = self.head;
            threads[usize::from(self.head)].previous = thread;
        }
        self.head = thread;
    }

    /// Adds behind everybody of the same or a higher effective priority.
    pub fn insert<C: Context>(&mut self, threads: &mut Threads<C>, thread: u8) {
        let priority = threads[usize::from(thread)].effective;
        let lower = |t: &u8| threads[usize::from(*t)].effective < priority;
        let first_lower = self.iter(threads).find(lower);
        match first_lower {
            None => self.push(threads, thread),
            Some(first) if first == self.head => self.push_front(threads, thread),
            Some(after) => {
                let before = threads[usize::from(after)].previous;
                threads[usize::from(thread)].previous = before;
                threads[usize::from(thread)].next = after;
                threads[usize::from(before)].next = thread;
                threads[usize::from(after)].previous = thread;
            }
        }
    }

    /// Takes the first one, who is there, out.
    #[inline(always)]
    pub fn pop<C: Context>(&mut self, threads: &Threads<C>) {
        if self.head == self.tail {
            self.head = 0;
        } else {
            self.head = threads[usize::from(self.head)].next;
        }
    }

    /// Takes a thread out that is in this list.
    pub fn remove<C: Context>(&mut self, threads: &mut Threads<C>, thread: u8) {
        let Thread { next, previous, .. } = threads[usize::from(thread)];
        match (self.head == thread, self.tail == thread) {
            (true, true) => self.head = 0,
            (true, false) => self.head = next,
            (false, true) => self.tail = previous,
            (false, false) => {
                threads[usize::from(previous)].next = next;
                threads[usize::from(next)].previous = previous;
            }
        }
    }

    /// From head to tail.
    pub fn iter<C: Context>(self, threads: &Threads<C>) -> impl Iterator<Item = u8> {
        let first = (self.head != 0).then_some(self.head);
        core::iter::successors(first, move |thread| {
            (*thread != self.tail).then(|| threads[usize::from(*thread)].next)
        })
    }
}
