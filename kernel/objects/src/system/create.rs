//! Making processes, threads and objects, and handles to them.

use super::handles::Object;
use super::objects::{Endpoint, Header, Notification, Queue, System};
use super::space::{Life, SPACES, Space};
use super::thread::{Context, State, Thread};
use super::{handles::Entry, list::List};
use tessera_abi::{error::Error, kind::Kind, number, rights};

/// Threads of a process at most, so that one process cannot use up all.
pub const THREADS_EACH: u16 = 32;
/// Pages that every process costs: its root table.
pub(super) const ROOT: u64 = 1;
/// Endpoints, notifications and regions of a process at most, each.
pub const OBJECTS_EACH: usize = 64;

impl<C: Context> System<C> {
    /// The first process; nobody has a handle to it. Its index.
    pub fn create_first(&mut self, quota: u64, tables: u64) -> Result<u8, Error> {
        let index = self.free_space()?;
        let space = self.space(index);
        let generation = space.generation;
        *space = Space {
            life: Life::Alive,
            quota,
            tables,
            generation,
            ..Space::EMPTY
        };
        space.handles.reset();
        Ok(index)
    }

    /// A process whose quota is taken from the running one's, and which pays for its root table;
    /// its notification, if any, gets `bits` when it ends. The handle. Errors: `TableFull`,
    /// `QuotaExceeded`, `OutOfMemory`, those of the notification's handle.
    pub fn create_space(
        &mut self,
        quota: u64,
        watcher: u64,
        bits: u64,
        tables: u64,
    ) -> Result<u32, Error> {
        let parent = self.current_space();
        let watcher = match watcher {
            0 => None,
            handle => Some(self.object(handle, Kind::Notification, rights::SEND)?),
        };
        let index = self.free_space()?;
        let generation = self.space(index).generation;
        let kind = Kind::AddressSpace;
        if quota < ROOT || !self.space(parent).charge(quota) {
            return Err(Error::QuotaExceeded);
        }
        let object = Object {
            kind,
            index,
            generation,
        };
        let handle = self.insert(parent, object, rights::ALL, 0);
        let handle = handle.inspect_err(|_| self.space(parent).refund(quota))?;
        let parent_generation = self.space(parent).generation;
        let watch_generation = watcher.map_or(0, |index| {
            self.notifications[usize::from(index)].header.generation
        });
        *self.space(index) = Space {
            life: Life::Alive,
            quota,
            pages: ROOT,
            overhead: ROOT,
            tables,
            generation,
            parent,
            parent_generation,
            watcher: watcher.unwrap_or(0),
            watch_generation,
            watch_bits: bits,
            refs: 1,
            ..Space::EMPTY
        };
        self.space(index).handles.reset();
        Ok(handle)
    }

    fn free_space(&self) -> Result<u8, Error> {
        let free = (0..SPACES).find(|index| self.spaces[*index].life == Life::Free);
        free.map(|index| index as u8).ok_or(Error::OutOfMemory)
    }

    /// A thread of process `space`, ready to run with these registers. `priority` is 1 to
    /// `PRIORITY_MAX`. Its index. Errors: `BadArgument`, `QuotaExceeded`, `OutOfMemory`.
    pub fn create_thread(&mut self, space: u8, context: C, priority: u64) -> Result<u8, Error> {
        if priority == 0 || priority > number::PRIORITY_MAX.into() {
            return Err(Error::BadArgument);
        }
        if self.space(space).threads >= THREADS_EACH {
            return Err(Error::QuotaExceeded);
        }
        let index = (1..=u8::MAX)
            .find(|index| self.threads[usize::from(*index)].state == State::Free)
            .ok_or(Error::OutOfMemory)?;
        self.space(space).threads += 1;
        let tables = self.space(space).tables;
        let slot = self.thread(index);
        *slot = Thread {
            context,
            tables,
            generation: slot.generation,
            space,
            base: priority as u8,
            effective: priority as u8,
            ..Thread::EMPTY
        };
        self.make_ready(index);
        Ok(index)
    }

    /// `create` of a thread by the running one: at most of its own priority. The handle.
    pub fn start_thread(&mut self, space: u8, context: C, priority: u64) -> Result<u32, Error> {
        let own = self.threads[usize::from(self.current())].base;
        if priority > own.into() || self.space(space).life != Life::Alive {
            return Err(Error::BadArgument);
        }
        // The slot of the handle first: a thread without one could not be taken back.
        let payer = self.current_space();
        let index = self.create_thread(space, context, priority)?;
        let generation = self.thread(index).generation;
        let kind = Kind::Thread;
        let object = Object {
            kind,
            index,
            generation,
        };
        let handle = self.insert(payer, object, rights::ALL, 0);
        if handle.is_err() {
            self.retire_thread(index);
        }
        self.preempt();
        handle
    }

    /// The index of the thread of a handle that the running process got just now.
    pub fn started(&self, handle: u32) -> u8 {
        let space = usize::from(self.current_space()) % SPACES;
        let entry = self.spaces[space].handles.get(handle.into());
        entry.map_or(0, |entry| entry.index)
    }

    /// An endpoint or notification that process `owner` pays for; a handle to it in the table
    /// of the running process. Errors: `NotCreatable`, `TableFull`, `QuotaExceeded`,
    /// `OutOfMemory`.
    pub fn create_object(&mut self, kind: Kind) -> Result<u32, Error> {
        let owner = self.current_space();
        let object = self.free_object(kind, owner)?;
        let handle = self.insert(owner, object, rights::ALL, 0)?;
        let header = Header {
            generation: object.generation,
            refs: 1,
            owner,
            used: true,
        };
        match kind {
            Kind::Endpoint => {
                self.endpoints[usize::from(object.index)] = Endpoint {
                    header,
                    list: List::EMPTY,
                    queue: Queue::Senders,
                }
            }
            _ => {
                self.notifications[usize::from(object.index)] = Notification {
                    header,
                    waiter: 0,
                    bound: 0,
                    bits: 0,
                }
            }
        }
        Ok(handle)
    }

    pub(super) fn free_object(&mut self, kind: Kind, owner: u8) -> Result<Object, Error> {
        let mut owned = 0;
        let mut free = None;
        for index in (1..=u8::MAX).rev() {
            let object = Object {
                kind,
                index,
                generation: 0,
            };
            let Some(header) = self.header(object) else {
                continue;
            };
            if !header.used {
                let generation = header.generation;
                free = Some(Object {
                    generation,
                    ..object
                });
            } else if header.owner == owner {
                owned += 1;
            }
        }
        match free {
            _ if owned >= OBJECTS_EACH => Err(Error::QuotaExceeded),
            Some(object) => Ok(object),
            None => Err(Error::OutOfMemory),
        }
    }

    /// Puts a handle into a table. Dead handles make room. Errors: `TableFull`.
    pub(super) fn insert(
        &mut self,
        space: u8,
        object: Object,
        rights: u8,
        badge: u64,
    ) -> Result<u32, Error> {
        let handles = &mut self.space(space).handles;
        if let Some(handle) = handles.insert(object, rights, badge) {
            return Ok(handle);
        }
        let dead = |entry: &&Entry| self.generation(entry.object()) != entry.generation;
        let handles = &self.spaces[usize::from(space) % SPACES].handles;
        let value = handles.used().find(dead).map(|entry| entry.value);
        let handles = &mut self.space(space).handles;
        handles.remove(value.ok_or(Error::TableFull)?);
        handles
            .insert(object, rights, badge)
            .ok_or(Error::TableFull)
    }
}
