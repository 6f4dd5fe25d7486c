//! The reference: handles, objects, mappings by unique names, no generations.

use crate::system::space::Use;
use std::collections::{BTreeMap, BTreeSet};
use std::vec::Vec;
use tessera_abi::{error::Error, kind::Kind, rights};

/// What a handle of the model names: kind and a number that is never used again.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Named {
    pub(super) kind: Kind,
    pub(super) name: u64,
    pub(super) rights: u8,
    pub(super) badge: u64,
}

#[derive(Default)]
pub(super) struct Process {
    pub(super) handles: BTreeMap<u32, Named>,
    pub(super) alive: bool,
}

/// Live objects, and processes by name (the first is 0).
#[derive(Default)]
pub(super) struct Model {
    pub(super) processes: BTreeMap<u64, Process>,
    /// Owner and pages of endpoints, notifications, regions.
    pub(super) objects: BTreeMap<u64, (u64, u64)>,
    /// Interrupts by number: its name, the notification that is told, and whether it waits.
    pub(super) interrupts: BTreeMap<u8, (u64, u64, bool)>,
    /// Mappings: process, address, region, access.
    pub(super) maps: Vec<(u64, u64, u64, Use)>,
    /// Regions that have an origin.
    pub(super) origins: BTreeSet<u64>,
    /// Those that the host sees.
    pub(super) shared: BTreeSet<u64>,
    /// Copies: which, of which.
    pub(super) copies: Vec<(u64, u64)>,
    pub(super) next: u64,
}

impl Model {
    pub(super) fn maps_of(&self, region: u64, access: Use) -> bool {
        self.maps.iter().any(|m| m.2 == region && m.3 == access)
    }

    /// What `map` of a region must say.
    pub(super) fn map(
        &self,
        process: u64,
        address: u64,
        region: u64,
        access: Use,
    ) -> Result<(), Error> {
        if access == Use::Execute && self.shared.contains(&region) {
            return Err(Error::BadArgument);
        }
        if self.maps.iter().any(|m| (m.0, m.1) == (process, address)) {
            return Err(Error::AlreadyMapped);
        }
        let copied = self.copies.iter().any(|copy| copy.1 == region);
        let busy = match access {
            Use::Write => self.maps_of(region, Use::Execute) || copied,
            Use::Execute => self.maps_of(region, Use::Write),
            _ => false,
        };
        if busy { Err(Error::Busy) } else { Ok(()) }
    }

    /// What a region's origin comes to, by name.
    pub(super) fn origin(&self, process: u64, handle: u32) -> Result<Option<u64>, Error> {
        let named = self.get(process, handle)?;
        match named.kind {
            Kind::Endpoint if named.rights & rights::SEND == 0 => Err(Error::NoRight),
            Kind::Endpoint => Ok(None),
            Kind::Region if self.origins.contains(&named.name) => Err(Error::BadArgument),
            Kind::Region if self.maps_of(named.name, Use::Write) => Err(Error::Busy),
            Kind::Region => Ok(Some(named.name)),
            _ => Err(Error::WrongKind),
        }
    }

    /// Copies end with their last handle and mapping.
    pub(super) fn forget_copies(&mut self) {
        let Self {
            objects,
            maps,
            copies,
            ..
        } = self;
        copies.retain(|(copy, _)| objects.contains_key(copy) || maps.iter().any(|m| m.2 == *copy));
    }

    /// To the model a revoked object is a new one.
    pub(super) fn rename(&mut self, old: u64, new: u64) {
        self.maps
            .iter_mut()
            .filter(|m| m.2 == old)
            .for_each(|m| m.2 = new);
        for (copy, of) in &mut self.copies {
            for name in [copy, of] {
                *name = if *name == old { new } else { *name };
            }
        }
        for names in [&mut self.origins, &mut self.shared] {
            if names.remove(&old) {
                names.insert(new);
            }
        }
    }

    pub(super) fn live(&self, named: &Named) -> bool {
        match named.kind {
            Kind::AddressSpace => true,
            _ => self.objects.contains_key(&named.name),
        }
    }

    pub(super) fn get(&self, process: u64, handle: u32) -> Result<Named, Error> {
        let named = self.processes[&process].handles.get(&handle);
        named
            .copied()
            .filter(|n| self.live(n))
            .ok_or(Error::BadHandle)
    }

    /// Whatever nobody names any more goes away, until nothing more does.
    pub(super) fn sweep(&mut self) {
        loop {
            let alive = self.processes.values().filter(|p| p.alive);
            let named: BTreeSet<u64> = alive
                .flat_map(|p| p.handles.values())
                .map(|n| n.name)
                .collect();
            let before = self.objects.len();
            self.objects.retain(|name, _| named.contains(name));
            let orphan = |(name, p): (&u64, &Process)| {
                (p.alive && *name != 0 && !named.contains(name)).then_some(*name)
            };
            let orphan = self.processes.iter().find_map(orphan);
            match orphan {
                Some(name) => self.end(name),
                None if self.objects.len() == before => return,
                None => {}
            }
        }
    }

    pub(super) fn end(&mut self, process: u64) {
        let p = self.processes.get_mut(&process).unwrap();
        p.alive = false;
        p.handles.clear();
        self.maps.retain(|m| m.0 != process);
        self.objects.retain(|_, (owner, _)| *owner != process);
    }
}
