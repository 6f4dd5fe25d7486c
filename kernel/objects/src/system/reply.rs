//! `reply`, and `reply_receive`, which is what a server's loop consists of.

use super::objects::{Queue, System};
use super::thread::{Context, State};
use tessera_abi::{error::Error, message, rights};

impl<C: Context> System<C> {
    /// `reply_receive` by the running thread; waits until `deadline` (0: for ever).
    #[inline(always)]
    pub fn reply_receive(&mut self, deadline: u64) {
        if deadline != 0 || !self.reply_receive_at_once() {
            self.reply_receive_slowly(deadline);
        }
    }

    /// The short way: the caller waits, nobody else does, and no handle moves. Changes nothing
    /// unless it returns true.
    #[inline(always)]
    fn reply_receive_at_once(&mut self) -> bool {
        let me = self.current;
        let t = &self.threads[usize::from(me)];
        let (tag, caller, bound) = (t.context.tag(), t.caller, t.bound);
        let Ok((index, _)) = self.endpoint(t.space, t.context.handle(), rights::RECEIVE) else {
            return false;
        };
        let endpoint = &mut self.endpoints[usize::from(index)];
        let senders = endpoint.queue == Queue::Senders && !endpoint.list.is_empty();
        if caller == 0
            || senders
            || message::handle(tag) != 0
            || (bound != 0 && self.notifications[usize::from(bound)].bits != 0)
            || self
                .ready
                .above(self.threads[usize::from(caller)].effective)
        {
            return false;
        }
        let pair = [usize::from(me), usize::from(caller)];
        let Ok([from, to]) = self.threads.get_disjoint_mut(pair) else {
            return false;
        };
        to.context.deliver(&from.context, 0, tag);
        to.state = State::Running;
        to.deadline = 0;
        from.state = State::Receiving;
        from.peer = index;
        from.caller = 0;
        from.effective = from.base;
        endpoint.queue = Queue::Receivers;
        endpoint.list.push(&mut self.threads, me);
        self.current = caller;
        true
    }

    #[cold]
    #[inline(never)]
    pub(super) fn reply_receive_slowly(&mut self, deadline: u64) {
        let me = self.current;
        let t = *self.thread(me);
        let done = self
            .receivable(t.context.handle())
            .and_then(|from| match self.answer() {
                Ok(()) | Err(Error::NoCaller) => Ok(from),
                Err(error) => Err(error),
            })
            .and_then(|from| self.receive_from(from, deadline));
        if let Err(error) = done {
            self.thread(me).context.set_result(error.number());
        }
        self.preempt();
    }

    /// `reply` by the running thread.
    pub fn reply(&mut self) {
        let me = self.current;
        let result = self.answer().map_or_else(Error::number, |()| 0);
        self.thread(me).context.set_result(result);
        self.preempt();
    }

    /// Sends the reply; the caller becomes ready.
    fn answer(&mut self) -> Result<(), Error> {
        let me = self.current;
        let caller = self.thread(me).caller;
        if caller == 0 {
            return Err(Error::NoCaller);
        }
        self.deliver(me, caller, 0)?;
        self.thread(me).caller = 0;
        self.refresh(me);
        self.make_ready(caller);
        Ok(())
    }
}
