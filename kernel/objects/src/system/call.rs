//! `call`: a message to whoever receives on the endpoint, and the wait for its reply.

use super::objects::{Queue, System};
use super::thread::{Context, State};
use super::wait::POLL;
use tessera_abi::{error::Error, kind::Kind, message, rights};

impl<C: Context> System<C> {
    /// `call` by the running thread; waits until `deadline` (0: for ever).
    #[inline(always)]
    pub fn call(&mut self, deadline: u64) {
        if deadline != 0 || !self.call_at_once() {
            self.call_slowly(deadline);
        }
    }

    /// The short way: a server waits, and no handle moves. Changes nothing unless it returns
    /// true.
    #[inline(always)]
    fn call_at_once(&mut self) -> bool {
        let me = self.current;
        let t = &self.threads[usize::from(me)];
        let tag = t.context.tag();
        let Ok((index, badge)) = self.endpoint(t.space, t.context.handle(), rights::SEND) else {
            return false;
        };
        let endpoint = &mut self.endpoints[usize::from(index)];
        let server = endpoint.list.head;
        if server == 0 || endpoint.queue != Queue::Receivers || message::handle(tag) != 0 {
            return false;
        }
        let pair = [usize::from(me), usize::from(server)];
        let Ok([from, to]) = self.threads.get_disjoint_mut(pair) else {
            return false;
        };
        to.context.deliver(&from.context, badge, tag);
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
        self.current = server;
        true
    }

    #[cold]
    #[inline(never)]
    pub(super) fn call_slowly(&mut self, deadline: u64) {
        if let Err(error) = self.try_call(deadline) {
            let me = self.current;
            self.thread(me).context.set_result(error.number());
        }
    }

    fn try_call(&mut self, deadline: u64) -> Result<(), Error> {
        let me = self.current;
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
        endpoint.queue = Queue::Senders;
        endpoint.list.insert(&mut self.threads, me);
        self.thread(me).badge = badge;
        self.wait(State::Sending, index, deadline);
        self.refresh_servers(index);
        self.schedule();
        Ok(())
    }

    /// Endpoint and badge of a handle. Errors: `BadHandle`, `WrongKind`, `NoRight`.
    #[inline(always)]
    pub(super) fn endpoint(&self, space: u8, handle: u64, right: u8) -> Result<(u8, u64), Error> {
        let entry = self.spaces[usize::from(space) % super::space::SPACES]
            .handles
            .get(handle)?;
        // A dead handle is no handle, whatever it named.
        if entry.meta & 0xFF == Kind::Endpoint as u16
            && self.endpoints[usize::from(entry.index)].header.generation == entry.generation
        {
            entry.allows(Kind::Endpoint, right)?;
            return Ok((entry.index, entry.badge));
        }
        Err(self.no_endpoint(space, handle))
    }

    #[cold]
    fn no_endpoint(&self, space: u8, handle: u64) -> Error {
        match self.entry(space, handle) {
            Ok(_) => Error::WrongKind,
            Err(error) => error,
        }
    }

    /// Carries the message of thread `from` to thread `to`, with the handle that moves. Nothing
    /// is changed where that fails. Errors: `BadHandle`, `NoRight`, `TableFull`.
    pub(super) fn deliver(&mut self, from: u8, to: u8, badge: u64) -> Result<(), Error> {
        let sender = *self.thread(from);
        let mut tag = sender.context.tag();
        let moved = message::handle(tag);
        if moved != 0 {
            let receiver = self.thread(to).space;
            let arrived = self.move_handle(sender.space, receiver, moved)?;
            tag = message::tag(message::label(tag), arrived);
        }
        let receiver = self.thread(to);
        receiver.context.deliver(&sender.context, badge, tag);
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
