//! Who runs: on each processor the first ready thread of the highest priority, for a time slice.

use super::cpu::CPUS;
use super::objects::System;
use super::thread::{Context, State};

/// Timer interrupts in a time slice.
pub const SLICE: u32 = 3;
const _: () = assert!(SLICE <= u8::MAX as u32);

impl<C: Context> System<C> {
    /// Puts a thread behind the others of its priority. It waits for nothing any more.
    pub(super) fn make_ready(&mut self, thread: u8) {
        let t = self.thread(thread);
        t.deadline = 0;
        t.left = 0;
        self.queue(thread, false);
    }

    /// Puts a thread that can run into a queue of its priority: behind all, or before.
    fn queue(&mut self, thread: u8, front: bool) {
        let home = self.place(thread);
        let t = self.thread(thread);
        t.state = State::Ready;
        t.home = home;
        let priority = t.effective & 31;
        let cpu = &mut self.cpus[usize::from(home) % CPUS];
        let list = &mut cpu.lists[usize::from(priority)];
        match front {
            true => list.push_front(&mut self.threads, thread),
            false => list.push(&mut self.threads, thread),
        }
        cpu.bits |= 1 << priority;
    }

    /// Takes a thread out of its ready queue.
    pub(super) fn not_ready(&mut self, thread: u8) {
        let t = &self.threads[usize::from(thread)];
        let (home, priority) = (t.home, t.effective & 31);
        let cpu = &mut self.cpus[usize::from(home) % CPUS];
        let list = &mut cpu.lists[usize::from(priority)];
        list.remove(&mut self.threads, thread);
        if list.is_empty() {
            cpu.bits &= !(1 << priority);
        }
    }

    /// Chooses who runs next on this processor, after the running thread stopped being runnable: the
    /// first of the highest priority here, or a higher one that waits for another processor.
    pub(super) fn schedule(&mut self) {
        let (cpu, priority) = self.best();
        let head = self.cpus[usize::from(cpu) % CPUS].lists[usize::from(priority & 31)].head;
        self.set_current(0);
        if priority != 0 {
            self.run(head);
        }
    }

    /// Runs a ready thread here.
    fn run(&mut self, thread: u8) {
        self.not_ready(thread);
        let me = self.me;
        let t = self.thread(thread);
        t.state = State::Running;
        t.home = me;
        // Who was preempted goes on with what was left.
        let left = core::mem::take(&mut t.left);
        let cpu = self.cpu();
        cpu.slice = if left == 0 { SLICE } else { left.into() };
        cpu.current = thread;
    }

    /// Lets a thread of a higher priority run here, if one waits here. The running one keeps its place
    /// at the front of its own, and the rest of its slice; if nothing is left, it goes to the back.
    pub fn preempt(&mut self) {
        let me = self.current();
        let effective = self.threads[usize::from(me)].effective & 31;
        let cpu = self.cpu();
        cpu.kicked = false;
        if me == 0 {
            return self.schedule();
        }
        if cpu.above(effective) {
            self.give_up(me);
            self.schedule();
        }
    }

    /// The running thread becomes a ready one.
    fn give_up(&mut self, me: u8) {
        let own = self.me;
        let cpu = self.cpu();
        cpu.current = 0;
        let left = cpu.slice as u8;
        let t = self.thread(me);
        t.left = left;
        t.home = own;
        self.queue(me, left != 0);
    }

    /// Runs a thread here at once that was neither running nor ready, on the slice of the one before;
    /// unless somebody else of a higher priority is ready.
    pub(super) fn switch_to(&mut self, thread: u8) {
        self.set_current(thread);
        let t = self.thread(thread);
        t.state = State::Running;
        t.deadline = 0;
        self.preempt();
    }

    /// `yield`: behind the others of the same priority.
    #[inline(always)]
    pub fn yield_now(&mut self) {
        let own = self.me;
        let cpu = &mut self.cpus[usize::from(own) % CPUS];
        let me = cpu.current;
        let effective = self.threads[usize::from(me)].effective & 31;
        cpu.slice = SLICE;
        // Nobody who waits here is above the running thread.
        let list = &mut cpu.lists[usize::from(effective)];
        let next = list.head;
        if next == 0 {
            return;
        }
        list.pop(&self.threads);
        list.push(&mut self.threads, me);
        cpu.current = next;
        let t = self.thread(me);
        (t.state, t.home) = (State::Ready, own);
        self.thread(next).state = State::Running;
    }

    /// A timer interrupt of this processor at `now`: ends waits whose time is over, and the slice of
    /// the running thread.
    pub fn tick(&mut self, now: u64) {
        if self.earliest != 0 && self.earliest <= now {
            self.expire(now);
        }
        let me = self.current();
        if me != 0 {
            let effective = self.threads[usize::from(me)].effective;
            let cpu = self.cpu();
            cpu.slice = cpu.slice.saturating_sub(1);
            // Where somebody above woke up, `preempt` does it.
            if cpu.slice == 0 && !cpu.above(effective) {
                self.end_slice(me, effective);
            }
        }
        self.preempt();
    }

    /// The next of the same priority runs: of this processor, or else one that waits for another one.
    fn end_slice(&mut self, me: u8, effective: u8) {
        let (cpu, priority) = self.best();
        if cpu != self.me && priority > effective {
            self.give_up(me);
            return self.schedule();
        }
        let own = self.cpu().bits >> (effective & 31) & 1;
        let of = |cpu: &&super::cpu::Cpu| cpu.bits >> (effective & 31) & 1 == 1;
        match self.cpus.iter().find(of) {
            Some(other) if own == 0 && self.others != 0 => {
                let thread = other.lists[usize::from(effective & 31)].head;
                self.give_up(me);
                self.run(thread);
            }
            _ => self.yield_now(),
        }
    }
}
