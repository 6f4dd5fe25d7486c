//! Waiting: its beginning, and every way in which it ends without what was waited for.

use super::objects::System;
use super::thread::{Context, State};
use tessera_abi::error::Error;

/// A deadline that is always over: the call does not wait.
pub const POLL: u64 = 1;

impl<C: Context> System<C> {
    /// The running thread waits. The caller puts it into a queue, and schedules.
    pub(super) fn wait(&mut self, state: State, peer: u8, deadline: u64) {
        let (me, home) = (self.current(), self.me);
        let t = self.thread(me);
        t.home = home;
        t.state = state;
        t.peer = peer;
        t.deadline = deadline;
        self.note_deadline(deadline);
    }

    pub(super) fn note_deadline(&mut self, deadline: u64) {
        if deadline != 0 && (self.earliest == 0 || deadline < self.earliest) {
            self.earliest = deadline;
        }
    }

    /// `sleep` until a deadline, which is not 0.
    pub fn sleep(&mut self, deadline: u64) {
        let me = self.current();
        self.thread(me).context.set_result(0);
        if deadline == POLL {
            return self.yield_now();
        }
        self.wait(State::Sleeping, 0, deadline);
        self.schedule();
    }

    /// Takes a thread out of what it waits for. It is then in no queue, and its state says
    /// `Running` until the caller sets it.
    pub(super) fn leave(&mut self, thread: u8) {
        let t = *self.thread(thread);
        if t.state == State::Ready {
            self.not_ready(thread);
        }
        self.thread(thread).state = State::Running;
        match t.state {
            State::Sending => {
                let list = &mut self.endpoints[usize::from(t.peer)].list;
                list.remove(&mut self.threads, thread);
                self.refresh_servers(t.peer);
            }
            State::Receiving => {
                let list = &mut self.endpoints[usize::from(t.peer)].list;
                list.remove(&mut self.threads, thread);
            }
            State::Awaiting => {
                self.thread(t.peer).caller = 0;
                self.refresh(t.peer);
            }
            State::Waiting => self.notifications[usize::from(t.peer)].waiter = 0,
            State::Ready | State::Running | State::Sleeping | State::Free => {}
        }
    }

    /// Ends the wait of a thread with an error; of one that waits for a pager, without a page. One
    /// that can run is left alone.
    pub(super) fn end_wait(&mut self, thread: u8, error: Error) {
        if matches!(
            self.thread(thread).state,
            State::Free | State::Ready | State::Running
        ) {
            return;
        }
        self.leave(thread);
        if self.thread(thread).fault.region != 0 {
            self.give_fault_up(thread);
        } else {
            self.thread(thread).context.set_result(error.number());
        }
        self.make_ready(thread);
    }

    /// `cancel`: ends whatever the thread waits for, but for a page: without it, it cannot go on.
    pub fn cancel(&mut self, thread: u8) {
        if self.thread(thread).fault.region != 0 {
            return;
        }
        self.end_wait(thread, Error::Cancelled);
        self.preempt();
    }

    /// Ends the waits whose deadline is at or before `now`.
    pub(super) fn expire(&mut self, now: u64) {
        self.earliest = 0;
        for thread in 1..=u8::MAX {
            let t = self.thread(thread);
            let (state, deadline) = (t.state, t.deadline);
            if deadline == 0 {
                continue;
            }
            match state {
                _ if deadline > now => self.note_deadline(deadline),
                State::Sleeping => self.make_ready(thread),
                _ => self.end_wait(thread, Error::TimedOut),
            }
        }
    }
}
