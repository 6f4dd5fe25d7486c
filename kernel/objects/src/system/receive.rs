//! `receive`: from an endpoint, from a notification, or from both.

use super::objects::{Queue, System};
use super::thread::{Context, State};
use super::wait::POLL;
use tessera_abi::{error::Error, kind::Kind, rights};

/// What a thread can receive from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Source {
    Endpoint(u8),
    Notification(u8),
}

impl<C: Context> System<C> {
    /// `receive` by the running thread; waits until `deadline` (0: for ever).
    pub fn receive(&mut self, deadline: u64) {
        let me = self.current();
        self.thread(me).short = false;
        let handle = self.thread(me).context.handle();
        let done = self
            .receivable(handle)
            .and_then(|from| self.receive_from(from, deadline));
        match done {
            Ok(true) => self.schedule(),
            Ok(false) => {}
            Err(error) => self.thread(me).context.set_result(error.number()),
        }
        self.preempt();
    }

    /// What a handle lets the running thread receive from.
    pub(super) fn receivable(&self, handle: u64) -> Result<Source, Error> {
        let entry = self.entry(self.current_space(), handle)?;
        if entry.allows(Kind::Notification, 0).is_ok() {
            entry.allows(Kind::Notification, rights::RECEIVE)?;
            return Ok(Source::Notification(entry.index));
        }
        entry.allows(Kind::Endpoint, rights::RECEIVE)?;
        Ok(Source::Endpoint(entry.index))
    }

    /// Receives, or begins to wait, which it tells; the caller then chooses who runs.
    pub(super) fn receive_from(&mut self, from: Source, deadline: u64) -> Result<bool, Error> {
        self.drop_caller(self.current());
        match from {
            Source::Endpoint(index) => self.receive_message(index, deadline),
            Source::Notification(index) => self.receive_bits(index, deadline),
        }
    }

    /// A caller whose server does not answer waits no longer.
    fn drop_caller(&mut self, server: u8) {
        let caller = self.thread(server).caller;
        if caller != 0 {
            self.end_wait(caller, Error::PeerDied);
        }
    }

    fn receive_message(&mut self, index: u8, deadline: u64) -> Result<bool, Error> {
        let me = self.current();
        let bound = self.thread(me).bound;
        if bound != 0 && self.notifications[usize::from(bound)].bits != 0 {
            self.take_bits(bound, me);
            return Ok(false);
        }
        while let Some(sender) = self.first_sender(index) {
            let badge = self.thread(sender).badge;
            if let Err(error) = self.deliver(sender, me, badge) {
                // The message cannot go anywhere: its sender learns why.
                self.end_wait(sender, error);
                continue;
            }
            self.endpoints[usize::from(index)].list.pop(&self.threads);
            let t = self.thread(sender);
            (t.state, t.peer) = (State::Awaiting, me);
            let t = self.thread(me);
            (t.caller, t.serving) = (sender, index);
            // The first in the queue is another one, for every server of this endpoint.
            self.refresh_servers(index);
            return Ok(false);
        }
        if deadline == POLL {
            return Err(Error::TimedOut);
        }
        let endpoint = &mut self.endpoints[usize::from(index)];
        endpoint.queue = Queue::Receivers;
        endpoint.list.push(&mut self.threads, me);
        self.wait(State::Receiving, index, deadline);
        Ok(true)
    }

    fn first_sender(&self, index: u8) -> Option<u8> {
        let endpoint = &self.endpoints[usize::from(index)];
        let waits = endpoint.queue == Queue::Senders && !endpoint.list.is_empty();
        waits.then_some(endpoint.list.head)
    }

    fn receive_bits(&mut self, index: u8, deadline: u64) -> Result<bool, Error> {
        let me = self.current();
        let notification = &mut self.notifications[usize::from(index)];
        if notification.bits != 0 {
            self.take_bits(index, me);
            return Ok(false);
        }
        if notification.waiter != 0 {
            return Err(Error::Busy);
        }
        if deadline == POLL {
            return Err(Error::TimedOut);
        }
        notification.waiter = me;
        self.wait(State::Waiting, index, deadline);
        Ok(true)
    }

    /// Gives the bits of a notification to a thread.
    pub(super) fn take_bits(&mut self, notification: u8, thread: u8) {
        let slot = &mut self.notifications[usize::from(notification)].bits;
        let bits = core::mem::take(slot);
        self.thread(thread).context.set_notified(bits);
    }
}
