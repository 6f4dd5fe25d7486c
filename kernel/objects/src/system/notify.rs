//! Notifications: bits that are set without waiting.

use super::objects::System;
use super::thread::{Context, State};
use tessera_abi::{error::Error, kind::Kind, rights};

impl<C: Context> System<C> {
    /// `signal` by the running thread.
    pub fn signal(&mut self, handle: u64, bits: u64) -> Result<u64, Error> {
        let index = self.object(handle, Kind::Notification, rights::SEND)?;
        self.raise(index, bits);
        self.preempt();
        Ok(0)
    }

    /// Sets bits, and wakes who waits for them. The caller lets them run.
    pub(super) fn raise(&mut self, index: u8, bits: u64) {
        let notification = &mut self.notifications[usize::from(index)];
        notification.bits |= bits;
        if notification.bits == 0 {
            return;
        }
        let (waiter, bound) = (notification.waiter, notification.bound);
        let thread = match self.thread(bound).state {
            _ if waiter != 0 => waiter,
            State::Receiving if bound != 0 => bound,
            _ => return,
        };
        self.leave(thread);
        self.take_bits(index, thread);
        self.make_ready(thread);
    }

    /// `bind` by the running thread; handle 0 ends it. Errors: `Busy`.
    pub fn bind(&mut self, handle: u64) -> Result<u64, Error> {
        let me = self.current();
        if handle == 0 {
            self.unbind(me);
            return Ok(0);
        }
        let index = self.object(handle, Kind::Notification, rights::RECEIVE)?;
        let notification = &mut self.notifications[usize::from(index)];
        if notification.bound != 0 || self.threads[usize::from(me)].bound != 0 {
            return Err(Error::Busy);
        }
        notification.bound = me;
        self.thread(me).bound = index;
        Ok(0)
    }

    pub(super) fn unbind(&mut self, thread: u8) {
        let bound = core::mem::take(&mut self.thread(thread).bound);
        if bound != 0 {
            self.notifications[usize::from(bound)].bound = 0;
        }
    }
}
