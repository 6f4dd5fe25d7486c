//! Copies of handles, and their end.

use super::handles::{Entry, Object};
use super::objects::{Reclaim, System};
use super::space::Life;
use super::thread::Context;
use tessera_abi::{error::Error, kind::Kind, rights};

impl<C: Context> System<C> {
    /// `duplicate` by the running thread. Errors: `NoRight`, `BadArgument`, `TableFull`.
    pub fn duplicate(&mut self, handle: u64, wanted: u64, badge: u64) -> Result<u32, Error> {
        let space = self.current_space();
        self.copy(space, space, rights::DUPLICATE, (handle, wanted, badge))
    }

    /// `give` by the running thread. Errors: as `duplicate`.
    pub fn give(&mut self, to: u64, handle: u64, wanted: u64, badge: u64) -> Result<u32, Error> {
        let child = self.object(to, Kind::AddressSpace, rights::MANAGE)?;
        if self.space(child).life != Life::Alive {
            return Err(Error::BadHandle);
        }
        let space = self.current_space();
        self.copy(space, child, rights::TRANSFER, (handle, wanted, badge))
    }

    fn copy(
        &mut self,
        from: u8,
        to: u8,
        needed: u8,
        (handle, wanted, badge): (u64, u64, u64),
    ) -> Result<u32, Error> {
        let entry = self.entry(from, handle)?;
        let rights = u8::try_from(wanted).map_err(|_| Error::NoRight)?;
        if entry.rights() & needed == 0 || rights & !entry.rights() != 0 {
            return Err(Error::NoRight);
        }
        let badged = badge != 0;
        if badged && (entry.badge != 0 || entry.object().kind != Kind::Endpoint) {
            return Err(Error::BadArgument);
        }
        let badge = if badged { badge } else { entry.badge };
        let handle = self.insert(to, entry.object(), rights, badge)?;
        self.count(entry.object(), 1);
        Ok(handle)
    }

    /// Counts a handle more or less; how many there are now.
    fn count(&mut self, object: Object, change: i16) -> u16 {
        let refs = match object.kind {
            Kind::AddressSpace => Some(&mut self.space(object.index).refs),
            _ => self.header(object).map(|header| &mut header.refs),
        };
        refs.map_or(1, |refs| {
            *refs = refs.saturating_add_signed(change);
            *refs
        })
    }

    /// `close` by the running thread.
    pub fn close(&mut self, handle: u64, reclaim: &mut impl Reclaim) -> Result<u64, Error> {
        let space = self.current_space();
        let entry = *self.space(space).handles.get(handle)?;
        self.close_entry(space, entry, reclaim);
        self.reap(reclaim);
        self.preempt();
        Ok(0)
    }

    /// Frees the slot; an object whose last handle it was goes away.
    pub(super) fn close_entry(&mut self, space: u8, entry: Entry, reclaim: &mut impl Reclaim) {
        self.space(space).handles.remove(entry.value);
        let object = entry.object();
        if self.generation(object) != entry.generation || self.count(object, -1) != 0 {
            return;
        }
        match object.kind {
            Kind::AddressSpace => self.release_space(object.index),
            Kind::Thread => {}
            _ => self.destroy(object, reclaim),
        }
    }

    /// `revoke` by the running thread: the caller's handle is the only one left.
    pub fn revoke(&mut self, handle: u64) -> Result<u64, Error> {
        let space = self.current_space();
        let entry = self.entry(space, handle)?;
        let mut object = entry.object();
        let header = self.header(object).ok_or(Error::WrongKind)?;
        if entry.rights() & rights::MANAGE == 0 {
            return Err(Error::NoRight);
        }
        header.generation = header.generation.wrapping_add(1);
        header.refs = 1;
        object.generation = header.generation;
        self.space(space).handles.0[handle as usize % super::handles::SLOTS].generation =
            object.generation;
        self.send_away(object);
        self.preempt();
        Ok(0)
    }

    /// Ends the waits of all threads at an endpoint or notification; nobody is told of an interrupt.
    pub(super) fn send_away(&mut self, object: Object) {
        let index = usize::from(object.index);
        match object.kind {
            Kind::Endpoint => {
                while !self.endpoints[index].list.is_empty() {
                    self.end_wait(self.endpoints[index].list.head, Error::PeerDied);
                }
            }
            Kind::Notification => {
                let waiter = self.notifications[index].waiter;
                if waiter != 0 {
                    self.end_wait(waiter, Error::PeerDied);
                }
                let bound = self.notifications[index].bound;
                if bound != 0 {
                    self.unbind(bound);
                }
            }
            Kind::Interrupt => self.detach(object.index),
            _ => {}
        }
    }
}
