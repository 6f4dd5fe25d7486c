//! `reply`, and `reply_receive`, which is what a server's loop consists of.

use super::cpu::CPUS;
use super::objects::{Queue, System};
use super::thread::{Context, Fault, State};
use crate::pair::pair;
use tessera_abi::{error::Error, message, rights};

impl<C: Context> System<C> {
    /// `reply_receive` by the running thread, short or not; waits until `deadline` (0: for ever).
    #[inline(always)]
    pub fn reply_receive<const SHORT: bool>(&mut self, deadline: u64) {
        if deadline != 0 || !self.reply_receive_at_once::<SHORT>() {
            self.reply_receive_slowly(SHORT, deadline);
        }
    }

    /// The short way without timeout: the caller waits, nobody else does, and no handle moves; the
    /// caller runs now. Changes nothing unless it returns true.
    #[inline(always)]
    pub fn reply_receive_at_once<const SHORT: bool>(&mut self) -> bool {
        self.answer_at_once::<SHORT, false>()
    }

    /// The same, for a caller that waits for a page (which was handed in) or for a reply.
    #[inline(always)]
    pub fn answer_at_once<const SHORT: bool, const FAULT: bool>(&mut self) -> bool {
        let me = self.current();
        let t = &self.threads[usize::from(me)];
        let (tag, caller, bound) = (t.context.tag(), t.caller, t.bound);
        // First, because a pager's reply comes this way in vain.
        if (self.threads[usize::from(caller)].fault.region != 0) != FAULT {
            return false;
        }
        let Some((index, _)) = self.endpoint_of(t, rights::RECEIVE) else {
            return false;
        };
        let endpoint = &mut self.endpoints[usize::from(index)];
        let senders = endpoint.queue == Queue::Senders && !endpoint.list.is_empty();
        if caller == 0
            || senders
            || message::handle(tag) != 0
            || (bound != 0 && self.notifications[usize::from(bound)].bits != 0)
            || self.cpus[usize::from(self.me) % CPUS]
                .above(self.threads[usize::from(caller)].effective)
        {
            return false;
        }
        let Some([from, to]) = pair(&mut self.threads, me, caller) else {
            return false;
        };
        if FAULT {
            to.fault = Fault::NONE;
        } else if SHORT || to.short {
            to.context.deliver_short(&from.context, 0, tag);
        } else {
            to.context.deliver(&from.context, 0, tag);
        }
        from.short = SHORT;
        to.state = State::Running;
        to.deadline = 0;
        from.state = State::Receiving;
        from.peer = index;
        from.caller = 0;
        from.effective = from.base;
        endpoint.queue = Queue::Receivers;
        endpoint.list.push(&mut self.threads, me);
        self.set_current(caller);
        true
    }

    #[cold]
    #[inline(never)]
    /// The long way; also right where the short one would do.
    pub fn reply_receive_slowly(&mut self, short: bool, deadline: u64) {
        let me = self.current();
        self.thread(me).short = short;
        let t = *self.thread(me);
        let done = self
            .receivable(t.context.handle())
            .and_then(|from| match self.answer() {
                Ok(()) | Err(Error::NoCaller) => Ok(from),
                Err(error) => Err(error),
            })
            .and_then(|from| self.receive_from(from, deadline));
        match done {
            Ok(true) => self.run_next(t.caller),
            Ok(false) => {}
            Err(error) => self.thread(me).context.set_result(error.number()),
        }
        self.preempt();
    }

    /// After a server began to wait: its caller goes on at once, on the same slice, unless
    /// somebody of a higher priority is ready.
    fn run_next(&mut self, caller: u8) {
        let t = self.thread(caller);
        let (state, effective) = (t.state, t.effective);
        if state == State::Ready && !self.cpu().above(effective) {
            self.not_ready(caller);
            self.switch_to(caller);
        } else {
            self.schedule();
        }
    }

    /// `reply` by the running thread.
    pub fn reply(&mut self) {
        let me = self.current();
        self.thread(me).short = false;
        let result = self.answer().map_or_else(Error::number, |()| 0);
        self.thread(me).context.set_result(result);
        self.preempt();
    }

    /// Sends the reply; the caller becomes ready.
    fn answer(&mut self) -> Result<(), Error> {
        let me = self.current();
        let caller = self.thread(me).caller;
        if caller == 0 {
            return Err(Error::NoCaller);
        }
        if self.thread(caller).fault.region != 0 {
            let label = message::label(self.thread(me).context.tag());
            self.answer_fault(caller, label);
        } else {
            self.deliver(me, caller, 0)?;
        }
        self.thread(me).caller = 0;
        self.refresh(me);
        self.make_ready(caller);
        Ok(())
    }
}
