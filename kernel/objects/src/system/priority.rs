//! Priority inheritance: a server has at least the priority of those who wait for it.

use super::objects::{Queue, System};
use super::thread::{Context, State, THREADS};

/// Steps of one change at most. A chain has no more links than there are threads.
const STEPS: usize = 4 * THREADS;

/// Threads whose priority may have to change.
struct Work([u64; THREADS / 64]);

impl Work {
    fn add(&mut self, thread: u8) {
        self.0[usize::from(thread) / 64] |= 1 << (thread % 64);
    }
    fn take(&mut self) -> Option<u8> {
        let word = self.0.iter().position(|word| *word != 0)?;
        let bit = self.0[word].trailing_zeros();
        self.0[word] &= self.0[word] - 1;
        Some(word as u8 * 64 + bit as u8)
    }
}

impl<C: Context> System<C> {
    /// The priority that a thread must have.
    pub(super) fn due(&self, thread: u8) -> u8 {
        let t = &self.threads[usize::from(thread)];
        if t.caller == 0 {
            return t.base;
        }
        let caller = self.threads[usize::from(t.caller)].effective;
        let endpoint = &self.endpoints[usize::from(t.serving)];
        let waits = endpoint.queue == Queue::Senders && !endpoint.list.is_empty();
        let head = match waits && t.serving != 0 {
            true => self.threads[usize::from(endpoint.list.head)].effective,
            false => 0,
        };
        t.base.max(caller).max(head)
    }

    /// Sets the priority of a thread as it must be, and of those for whom it waits.
    pub(super) fn refresh(&mut self, thread: u8) {
        let mut work = Work([0; THREADS / 64]);
        work.add(thread);
        self.refresh_all(work);
    }

    /// The same for all who serve callers of an endpoint.
    pub(super) fn refresh_servers(&mut self, endpoint: u8) {
        let mut work = Work([0; THREADS / 64]);
        self.add_servers(endpoint, &mut work);
        self.refresh_all(work);
    }

    fn add_servers(&self, endpoint: u8, work: &mut Work) {
        for (thread, t) in (0..=u8::MAX).zip(&self.threads) {
            if t.caller != 0 && t.serving == endpoint {
                work.add(thread);
            }
        }
    }

    fn refresh_all(&mut self, mut work: Work) {
        for _ in 0..STEPS {
            let Some(thread) = work.take() else { return };
            let due = self.due(thread);
            let t = *self.thread(thread);
            if t.effective == due {
                continue;
            }
            match t.state {
                State::Ready => {
                    self.not_ready(thread);
                    self.thread(thread).effective = due;
                    self.make_ready(thread);
                }
                State::Sending => {
                    let list = &mut self.endpoints[usize::from(t.peer)].list;
                    list.remove(&mut self.threads, thread);
                    self.threads[usize::from(thread)].effective = due;
                    list.insert(&mut self.threads, thread);
                    self.add_servers(t.peer, &mut work);
                }
                State::Awaiting => {
                    self.thread(thread).effective = due;
                    work.add(t.peer);
                }
                _ => self.thread(thread).effective = due,
            }
        }
    }
}
