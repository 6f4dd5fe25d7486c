//! A page that only a user pager can bring: the fault is a message to it, and the thread waits as
//! in a call. What it waits for is in the pager's reply; its own registers are not touched.

use super::objects::{Queue, System};
use super::region::Origin;
use super::space::SPACES;
use super::thread::{Context, Fault, State};
use tessera_abi::{error::Error, kind::Kind, message, rights};

/// A page that a pager hands in with its reply, by number of region and page.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Supply {
    /// The pager's region, which loses it.
    pub from: (u8, u64),
    /// The region that gets it.
    pub to: (u8, u64),
    /// The thread that waits for it.
    pub thread: u8,
}

impl<C: Context> System<C> {
    /// The running thread waits for the pager of a page. False, and nothing changed: there is no
    /// pager any more, or it has said no; the process cannot go on.
    pub fn fault(&mut self, fault: Fault) -> bool {
        let region = &self.regions[usize::from(fault.region)];
        let Origin::Pager {
            endpoint: index,
            generation,
            badge,
        } = region.origin
        else {
            return false;
        };
        let me = self.current();
        let endpoint = &self.endpoints[usize::from(index)];
        let t = &mut self.threads[usize::from(me)];
        if endpoint.header.generation != generation || t.refused == fault.address {
            return false;
        }
        t.refused = 0;
        t.fault = fault;
        let server = endpoint.list.head;
        if endpoint.queue != Queue::Receivers || server == 0 {
            self.queue_sender(index, badge, 0);
            return true;
        }
        self.deliver_fault(me, server, badge);
        self.endpoints[usize::from(index)].list.pop(&self.threads);
        // As `call_at_once` does.
        let from = self.thread(me);
        (from.state, from.peer) = (State::Awaiting, server);
        let effective = from.effective;
        let to = self.thread(server);
        to.state = State::Running;
        to.deadline = 0;
        to.caller = me;
        to.serving = index;
        to.effective = to.base.max(effective);
        self.set_current(server);
        true
    }

    /// The message of a faulting thread: address, access, page, number of the thread.
    pub(super) fn deliver_fault(&mut self, from: u8, to: u8, badge: u64) {
        let fault = self.threads[usize::from(from)].fault;
        let (touch, page) = (fault.touch.into(), fault.page.into());
        let words = [fault.address, touch, page, from.into()];
        let tag = message::tag(message::FAULT, 0);
        self.thread(to).context.deliver_words(words, badge, tag);
    }

    /// What the running thread's reply hands in, if a faulting thread waits for it and it does:
    /// word 0 is the handle of a region, word 1 a page of it. Errors: `BadHandle`, `WrongKind`,
    /// `NoRight` (`WRITE`), `BadArgument` (no such page), `Busy` (others rely on what it is).
    #[inline(always)]
    pub fn supply(&self) -> Result<Option<Supply>, Error> {
        let me = &self.threads[usize::from(self.current())];
        let fault = self.threads[usize::from(me.caller)].fault;
        let label = message::label(me.context.tag());
        if me.caller == 0 || fault.region == 0 || label != message::FAULT_PAGE {
            return Ok(None);
        }
        let [handle, page] = me.context.first_words();
        let handles = &self.spaces[usize::from(me.space) % SPACES].handles;
        let entry = handles.get(handle)?;
        let source = &self.regions[usize::from(entry.index)];
        let whole = source.header.generation == entry.generation;
        entry.allows(Kind::Region, rights::WRITE)?;
        if !whole {
            return Err(Error::BadHandle);
        }
        if page >= source.pages || entry.index == fault.region {
            return Err(Error::BadArgument);
        }
        if source.copies != 0 || source.executable != 0 || source.origin != Origin::Zero {
            return Err(Error::Busy);
        }
        Ok(Some(Supply {
            from: (entry.index, page),
            to: (fault.region, fault.page.into()),
            thread: me.caller,
        }))
    }

    /// The running thread answers a faulting thread: it goes on, and touches the page again.
    pub(super) fn answer_fault(&mut self, thread: u8, label: u32) {
        let t = self.thread(thread);
        if label == message::FAULT_END {
            t.refused = t.fault.address;
        }
        t.fault = Fault::NONE;
    }

    /// A faulting thread waits no longer, without a page: its next touch of it is its process' end.
    pub(super) fn give_fault_up(&mut self, thread: u8) {
        let t = self.thread(thread);
        t.refused = t.fault.address;
        t.fault = Fault::NONE;
    }
}
