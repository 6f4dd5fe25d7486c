//! All state, and the objects that are neither threads nor processes.

use super::cpu::{CPUS, Cpu};
use super::grant::Grants;
use super::handles::{Entry, Object};
use super::interrupt::{INTERRUPTS, Interrupt};
use super::list::List;
use super::region::Region;
use super::space::{Mapping, SPACES, Space};
use super::thread::{Context, THREADS, Thread};
use tessera_abi::{error::Error, kind::Kind};

/// Endpoints, notifications, regions at most, each; number 0 is nobody.
pub const OBJECTS: usize = 256;

/// What all objects but processes and threads have in common.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Header {
    /// Changes when the object goes away or is revoked: handles of another one are dead.
    pub generation: u32,
    /// Live handles to it.
    pub(super) refs: u16,
    /// The process that pays for it, with which it goes away.
    pub owner: u8,
    /// In use.
    pub used: bool,
}

impl Header {
    pub(super) const EMPTY: Self = Self {
        generation: 0,
        refs: 0,
        owner: 0,
        used: false,
    };
}

/// Who is in an endpoint's queue.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Queue {
    Senders,
    Receivers,
}

/// Where callers and servers meet.
#[derive(Clone, Copy, Debug)]
pub struct Endpoint {
    pub(super) header: Header,
    /// Who waits: all senders, by priority, or all receivers, in order.
    pub(super) list: List,
    pub(super) queue: Queue,
}

/// 64 bits, and at most one thread that waits for them.
#[derive(Clone, Copy, Debug)]
pub struct Notification {
    pub(super) header: Header,
    /// The thread in `State::Waiting`.
    pub(super) waiter: u8,
    /// The thread whose receive on an endpoint also ends by it.
    pub(super) bound: u8,
    pub(super) bits: u64,
}

/// What the kernel takes back when something ends. Called once for each.
pub trait Reclaim {
    /// Processor `cpu` lets go of the thread that it runs, which ends: when this returns it neither
    /// runs it nor uses its registers and its page tables, and works only when it is its turn again.
    fn stop(&mut self, cpu: u8);
    /// The frames of region `index`, of so many pages, which the host sees where they are `shared`.
    fn region(&mut self, index: u8, pages: u64, shared: bool);
    /// A mapping of `pages` pages at `address` in the page tables at `tables`, which serve what
    /// is left. How many tables came back; `flush` follows before any of them is used again.
    fn unmap(&mut self, tables: u64, address: u64, pages: u64, left: &[Mapping]) -> u64;
    /// Those processors, a bit each, forget translations, before what they led to is used again.
    fn flush(&mut self, processors: u8);
    /// This processor goes to the kernel's own page tables.
    fn leave(&mut self);
    /// The page tables at `tables`, which no processor has.
    fn space(&mut self, tables: u64);
    /// Interrupt `index`: it must not come any more.
    fn interrupt(&mut self, _: u8) {}
}

/// Everything.
#[derive(Debug)]
pub struct System<C> {
    /// Threads.
    pub threads: [Thread<C>; THREADS],
    /// Processes.
    pub spaces: [Space; SPACES],
    pub(super) endpoints: [Endpoint; OBJECTS],
    pub(super) notifications: [Notification; OBJECTS],
    /// Regions.
    pub regions: [Region; OBJECTS],
    /// Interrupts.
    pub interrupts: [Interrupt; INTERRUPTS as usize],
    pub(super) grants: Grants,
    /// Processors.
    pub(super) cpus: [Cpu; CPUS],
    /// The earliest deadline at most; 0: none.
    pub(super) earliest: u64,
    /// The processor that works now.
    pub(super) me: u8,
    /// Processors that take part beside the first one, a bit each.
    pub(super) others: u8,
}

impl<C: Context> System<C> {
    /// Nothing at all. All bytes are zero where `C`'s are.
    pub const EMPTY: Self = Self {
        threads: [Thread::EMPTY; THREADS],
        spaces: [Space::EMPTY; SPACES],
        endpoints: [Endpoint {
            header: Header::EMPTY,
            list: List::EMPTY,
            queue: Queue::Senders,
        }; OBJECTS],
        notifications: [Notification {
            header: Header::EMPTY,
            waiter: 0,
            bound: 0,
            bits: 0,
        }; OBJECTS],
        regions: [Region::EMPTY; OBJECTS],
        interrupts: [Interrupt::EMPTY; INTERRUPTS as usize],
        grants: Grants::EMPTY,
        cpus: [Cpu::EMPTY; CPUS],
        earliest: 0,
        me: 0,
        others: 0,
    };

    /// The thread of an index.
    #[inline(always)]
    pub fn thread(&mut self, index: u8) -> &mut Thread<C> {
        &mut self.threads[usize::from(index)]
    }

    /// The process of an index.
    #[inline(always)]
    pub fn space(&mut self, index: u8) -> &mut Space {
        &mut self.spaces[usize::from(index) % SPACES]
    }

    /// The process of the running thread.
    pub fn current_space(&self) -> u8 {
        self.threads[usize::from(self.current())].space
    }

    /// The common part of an object; `None` for processes, threads, and numbers that the kind does
    /// not have.
    pub(super) fn header(&mut self, object: Object) -> Option<&mut Header> {
        let index = usize::from(object.index);
        let grants = &mut self.grants;
        match object.kind {
            Kind::Endpoint => Some(&mut self.endpoints[index].header),
            Kind::Notification => Some(&mut self.notifications[index].header),
            Kind::Region => Some(&mut self.regions[index].header),
            Kind::Interrupt => self.interrupts.get_mut(index).map(|i| &mut i.header),
            Kind::HostChannel => grants.channels.get_mut(index),
            Kind::Evidence => grants.evidence.get_mut(index),
            Kind::Inspection => grants.inspections.get_mut(index),
            Kind::AddressSpace | Kind::Thread => None,
        }
    }

    /// The generation that handles to the object must have now.
    pub(super) fn generation(&self, object: Object) -> u32 {
        let index = usize::from(object.index);
        match object.kind {
            Kind::Endpoint => self.endpoints[index].header.generation,
            Kind::Notification => self.notifications[index].header.generation,
            Kind::Region => self.regions[index].header.generation,
            Kind::Thread => self.threads[index].generation,
            Kind::AddressSpace => self.spaces[index % SPACES].generation,
            _ => self.grant_generation(object),
        }
    }

    #[cold]
    fn grant_generation(&self, object: Object) -> u32 {
        let index = usize::from(object.index);
        let header = match object.kind {
            Kind::Interrupt => self.interrupts.get(index).map(|i| &i.header),
            Kind::HostChannel => self.grants.channels.get(index),
            Kind::Evidence => self.grants.evidence.get(index),
            _ => self.grants.inspections.get(index),
        };
        let none = object.generation.wrapping_add(1);
        header.map_or(none, |header| header.generation)
    }

    /// The live entry of a handle of process `space`. Errors: `BadHandle`.
    pub(super) fn entry(&self, space: u8, handle: u64) -> Result<Entry, Error> {
        let entry = *self.spaces[usize::from(space) % SPACES]
            .handles
            .get(handle)?;
        if self.generation(entry.object()) == entry.generation {
            Ok(entry)
        } else {
            Err(Error::BadHandle)
        }
    }

    /// The index of the object of `kind` that a handle of the running process names.
    /// Errors: `BadHandle`, `WrongKind`, `NoRight`.
    pub fn object(&self, handle: u64, kind: Kind, rights: u8) -> Result<u8, Error> {
        let entry = self.entry(self.current_space(), handle)?;
        entry.allows(kind, rights)?;
        Ok(entry.index)
    }

    /// As `object` for an address space, where 0 names the running process itself.
    pub fn space_or_own(&self, handle: u64, rights: u8) -> Result<u8, Error> {
        match handle {
            0 => Ok(self.current_space()),
            _ => self.object(handle, Kind::AddressSpace, rights),
        }
    }
}
