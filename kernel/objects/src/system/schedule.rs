//! Who runs: the first ready thread of the highest priority, for a time slice.

use super::objects::System;
use super::thread::{Context, State};

/// Timer interrupts in a time slice.
pub const SLICE: u32 = 3;
const _: () = assert!(SLICE <= u8::MAX as u32);

impl<C: Context> System<C> {
    /// Puts a thread behind the others of its priority. It waits for nothing any more.
    pub(super) fn make_ready(&mut self, thread: u8) {
        let t = self.thread(thread);
        t.state = State::Ready;
        t.deadline = 0;
        t.left = 0;
        let priority = t.effective & 31;
        self.ready.lists[usize::from(priority)].push(&mut self.threads, thread);
        self.ready.bits |= 1 << priority;
    }

    /// Takes a thread out of its ready queue.
    pub(super) fn not_ready(&mut self, thread: u8) {
        let priority = self.thread(thread).effective & 31;
        let list = &mut self.ready.lists[usize::from(priority)];
        list.remove(&mut self.threads, thread);
        if list.is_empty() {
            self.ready.bits &= !(1 << priority);
        }
    }

    /// Chooses who runs next, after the running thread stopped being runnable.
    pub(super) fn schedule(&mut self) {
        self.current = 0;
        if self.ready.bits == 0 {
            return;
        }
        let priority = 31 - self.ready.bits.leading_zeros();
        let thread = self.ready.lists[priority as usize].head;
        self.not_ready(thread);
        let t = self.thread(thread);
        t.state = State::Running;
        // Who was preempted goes on with what was left.
        let left = core::mem::take(&mut t.left);
        self.slice = if left == 0 { SLICE } else { left.into() };
        self.current = thread;
    }

    /// Lets a thread of a higher priority run, if there is one. The running one keeps its place at
    /// the front of its own, and the rest of its slice; if nothing is left, it goes to the back.
    pub(super) fn preempt(&mut self) {
        let me = self.current;
        if me == 0 {
            return self.schedule();
        }
        let effective = self.thread(me).effective & 31;
        if !self.ready.above(effective) {
            return;
        }
        if self.slice == 0 {
            self.make_ready(me);
        } else {
            let left = self.slice as u8;
            let t = self.thread(me);
            (t.state, t.left) = (State::Ready, left);
            let list = &mut self.ready.lists[usize::from(effective)];
            list.push_front(&mut self.threads, me);
            self.ready.bits |= 1 << effective;
        }
        self.schedule();
    }

    /// Runs a thread at once that was neither running nor ready, on the slice of the one before;
    /// unless somebody else of a higher priority is ready.
    pub(super) fn switch_to(&mut self, thread: u8) {
        self.current = thread;
        let t = self.thread(thread);
        t.state = State::Running;
        t.deadline = 0;
        self.preempt();
    }

    /// `yield`: behind the others of the same priority.
    #[inline(always)]
    pub fn yield_now(&mut self) {
        let me = self.current;
        let effective = self.thread(me).effective & 31;
        self.slice = SLICE;
        // Nobody ready is above the running thread.
        let list = &mut self.ready.lists[usize::from(effective)];
        let next = list.head;
        if next == 0 {
            return;
        }
        list.pop(&self.threads);
        list.push(&mut self.threads, me);
        self.thread(me).state = State::Ready;
        self.thread(next).state = State::Running;
        self.current = next;
    }

    /// A timer interrupt at `now`: ends waits whose time is over, and the slice of the running
    /// thread.
    pub fn tick(&mut self, now: u64) {
        if self.earliest != 0 && self.earliest <= now {
            self.expire(now);
        }
        if self.current != 0 {
            self.slice = self.slice.saturating_sub(1);
            // Where somebody above woke up, `preempt` does it.
            let effective = self.threads[usize::from(self.current)].effective;
            if self.slice == 0 && !self.ready.above(effective) {
                self.yield_now();
            }
        }
        self.preempt();
    }
}
