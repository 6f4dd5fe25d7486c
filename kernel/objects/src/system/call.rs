//! `call`: a message to whoever receives on the endpoint, and the wait for its reply.

use super::objects::{Queue, System};
use super::space::SPACES;
use super::thread::{Context, State, Thread};
use super::wait::POLL;
use crate::pair::pair;
use tessera_abi::{error::Error, kind::Kind, message, rights};

impl<C: Context> System<C> {
    /// `call` by the running thread, short or not; waits until `deadline` (0: for ever).
    #[inline(always)]
    pub fn call<const SHORT: bool>(&mut self, deadline: u64) {
        if deadline != 0 || !self.call_at_once::<SHORT>() {
            self.call_slowly(SHORT, deadline);
        }
    }

    /// The short way of a call without timeout: a server waits, and no handle moves; it runs now.
    /// Changes nothing unless it returns true.
    #[inline(always)]
    pub fn call_at_once<const SHORT: bool>(&mut self) -> bool {
        let me = self.current();
        let t = &self.threads[usize::from(me)];
        let tag = t.context.tag();
        let Some((index, badge)) = self.endpoint_of(t, rights::SEND) else {
            return false;
        };
        let endpoint = &mut self.endpoints[usize::from(index)];
        let server = endpoint.list.head;
        if server == 0 || endpoint.queue != Queue::Receivers || message::handle(tag) != 0 {
            return false;
        }
        let Some([from, to]) = pair(&mut self.threads, me, server) else {
            return false;
        };
        if SHORT || to.short {
            to.context.deliver_short(&from.context, badge, tag);
        } else {
            to.context.deliver(&from.context, badge, tag);
        }
        from.short = SHORT;
        from.state = State::Awaiting;
        from.peer = server;
        to.state = State::Running;
        to.deadline = 0;
        to.caller = me;
        to.serving = index;
        // It was waiting, so its priority was its own.
        to.effective = to.base.max(from.effective);
        endpoint.list.pop(&self.threads);
        // Nobody ready is above the caller, so nobody is above its server.
        self.set_current(server);
        true
    }

    #[cold]
    #[inline(never)]
    /// The long way; also right where the short one would do.
    pub fn call_slowly(&mut self, short: bool, deadline: u64) {
        let me = self.current();
        self.thread(me).short = short;
        if let Err(error) = self.try_call(deadline) {
            self.thread(me).context.set_result(error.number());
        }
    }

    fn try_call(&mut self, deadline: u64) -> Result<(), Error> {
        let me = self.current();
        let t = *self.thread(me);
        let (index, badge) = self.endpoint(t.space, t.context.handle(), rights::SEND)?;
        let endpoint = &mut self.endpoints[usize::from(index)];
        if endpoint.queue == Queue::Receivers && !endpoint.list.is_empty() {
            let server = endpoint.list.head;
            self.deliver(me, server, badge)?;
            self.endpoints[usize::from(index)].list.pop(&self.threads);
            self.wait(State::Awaiting, server, deadline);
            let to = self.thread(server);
            (to.caller, to.serving) = (me, index);
            self.refresh(server);
            self.switch_to(server);
            return Ok(());
        }
        if deadline == POLL {
            return Err(Error::TimedOut);
        }
        self.queue_sender(index, badge, deadline);
        Ok(())
    }

    /// The running thread waits until somebody takes its message, or its fault.
    pub(super) fn queue_sender(&mut self, index: u8, badge: u64, deadline: u64) {
        let me = self.current();
        let endpoint = &mut self.endpoints[usize::from(index)];
        endpoint.queue = Queue::Senders;
        endpoint.list.insert(&mut self.threads, me);
        self.thread(me).badge = badge;
        self.wait(State::Sending, index, deadline);
        self.refresh_servers(index);
        self.schedule();
    }

    /// Endpoint and badge of the handle in a thread's registers, if all is well with it.
    #[inline(always)]
    pub(super) fn endpoint_of(&self, thread: &Thread<C>, right: u8) -> Option<(u8, u64)> {
        let handles = &self.spaces[usize::from(thread.space) % SPACES].handles;
        let entry = handles.get(thread.context.handle()).ok()?;
        let mask = 0xFF | u16::from(right) << 8;
        let wanted = Kind::Endpoint as u16 | u16::from(right) << 8;
        let header = &self.endpoints[usize::from(entry.index)].header;
        let good = entry.meta & mask == wanted && header.generation == entry.generation;
        good.then_some((entry.index, entry.badge))
    }

    /// Endpoint and badge of a handle. Errors: `BadHandle`, `WrongKind`, `NoRight`.
    fn endpoint(&self, space: u8, handle: u64, right: u8) -> Result<(u8, u64), Error> {
        let entry = self.entry(space, handle)?;
        entry.allows(Kind::Endpoint, right)?;
        Ok((entry.index, entry.badge))
    }

    /// Carries the message of thread `from` to thread `to`, with the handle that moves. Nothing
    /// is changed where that fails. Errors: `BadHandle`, `NoRight`, `TableFull`.
    pub(super) fn deliver(&mut self, from: u8, to: u8, badge: u64) -> Result<(), Error> {
        let sender = *self.thread(from);
        if sender.fault.region != 0 {
            self.deliver_fault(from, to, badge);
            return Ok(());
        }
        let mut tag = sender.context.tag();
        let moved = message::handle(tag);
        if moved != 0 {
            let receiver = self.thread(to).space;
            let arrived = self.move_handle(sender.space, receiver, moved)?;
            tag = message::tag(message::label(tag), arrived);
        }
        let receiver = self.thread(to);
        if sender.short || receiver.short {
            receiver.context.deliver_short(&sender.context, badge, tag);
        } else {
            receiver.context.deliver(&sender.context, badge, tag);
        }
        Ok(())
    }

    fn move_handle(&mut self, from: u8, to: u8, handle: u32) -> Result<u32, Error> {
        let entry = self.entry(from, handle.into())?;
        if entry.rights() & rights::TRANSFER == 0 {
            return Err(Error::NoRight);
        }
        let arrived = self.insert(to, entry.object(), entry.rights(), entry.badge)?;
        self.space(from).handles.remove(handle);
        Ok(arrived)
    }
}
