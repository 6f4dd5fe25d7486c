//! Which regions are mapped where. Page tables follow; they are the kernel's business.

use super::objects::{Reclaim, System};
use super::region::Origin;
use super::space::{Life, MAPPINGS, Mapping, SPACES, Use};
use super::thread::Context;
use tessera_abi::{error::Error, number};

/// First address behind the user's half, as far as regions go.
/// The last page stays free: the instruction after a SYSCALL there would have no address.
pub const USER_END: u64 = (1 << 47) - PAGE;
const PAGE: u64 = 4096;

/// How a page is touched.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Touch {
    /// It is read.
    Read,
    /// It is written.
    Write,
    /// It is executed.
    Execute,
}

/// Where an address leads.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Place {
    /// Which region.
    pub region: u8,
    /// Which page of it.
    pub page: u64,
    /// What its mapping allows.
    pub access: Use,
}

impl<C: Context> System<C> {
    /// Notes that a region is mapped at `address` of a process for `access`; how many pages. Errors:
    /// `BadArgument`, `BadAddress`, `AlreadyMapped`, `TableFull`; `Busy` where the region is
    /// mapped executable and would become writable too, or the other way round, or where copies
    /// of it exist and it would become writable; `BadArgument`, too, for what the host could change while
    /// it is executed.
    pub fn map(&mut self, space: u8, region: u8, address: u64, access: Use) -> Result<u64, Error> {
        let entry = &self.regions[usize::from(region)];
        let pages = entry.pages;
        let busy = match access {
            Use::Write => entry.executable != 0 || entry.copies != 0,
            Use::Execute if entry.origin == Origin::Shared => return Err(Error::BadArgument),
            Use::Execute => entry.writable != 0,
            _ => false,
        };
        let mapping = Mapping {
            address,
            pages: pages as u32,
            region,
            access,
        };
        let slot = self.free_mapping(space, mapping)?;
        if busy {
            return Err(Error::Busy);
        }
        self.space(space).mappings[slot] = mapping;
        let entry = &mut self.regions[usize::from(region)];
        entry.mapped += 1;
        entry.writable += u16::from(access == Use::Write);
        entry.executable += u16::from(access == Use::Execute);
        Ok(pages)
    }

    /// Notes that addresses are nobody's to map (`Guard`) or the kernel's doing (`Fixed`). Errors:
    /// as `map`; `BadArgument` for no pages or more than a region can have.
    pub fn reserve(
        &mut self,
        space: u8,
        address: u64,
        pages: u64,
        access: Use,
    ) -> Result<u64, Error> {
        if pages == 0 || pages > number::REGION_PAGES {
            return Err(Error::BadArgument);
        }
        let mapping = Mapping {
            address,
            pages: pages as u32,
            region: 0,
            access,
        };
        let slot = self.free_mapping(space, mapping)?;
        self.space(space).mappings[slot] = mapping;
        Ok(0)
    }

    /// A slot for a mapping that is in nobody's way.
    fn free_mapping(&mut self, space: u8, wanted: Mapping) -> Result<usize, Error> {
        let (address, len) = (wanted.address, wanted.len());
        if !address.is_multiple_of(PAGE) {
            return Err(Error::BadArgument);
        }
        let end = address.checked_add(len);
        if address == 0 || end.is_none_or(|end| end > USER_END) {
            return Err(Error::BadAddress);
        }
        let space = self.space(space);
        if space.life != Life::Alive {
            return Err(Error::BadHandle);
        }
        let mappings = &space.mappings;
        if mappings.iter().any(|m| m.touches(address, len)) {
            return Err(Error::AlreadyMapped);
        }
        let free = mappings.iter().position(|m| m.address == 0);
        free.ok_or(Error::TableFull)
    }

    /// Takes the mapping away that starts at `address`. Errors: `BadAddress`, also for what the
    /// kernel mapped for good.
    pub fn unmap(
        &mut self,
        space: u8,
        address: u64,
        reclaim: &mut impl Reclaim,
    ) -> Result<u64, Error> {
        let mappings = &self.spaces[usize::from(space) % SPACES].mappings;
        let there = |m: &Mapping| m.address == address && m.access != Use::Fixed;
        let slot = mappings.iter().position(there);
        let slot = slot.filter(|_| address != 0).ok_or(Error::BadAddress)?;
        self.drop_mapping(space, slot, reclaim);
        Ok(0)
    }

    pub(super) fn drop_mapping(&mut self, space: u8, slot: usize, reclaim: &mut impl Reclaim) {
        let entry = self.space(space);
        let Mapping {
            address,
            pages,
            region,
            access,
        } = core::mem::replace(&mut entry.mappings[slot], Mapping::FREE);
        if address == 0 || region == 0 {
            return;
        }
        let root = entry.tables;
        let tables = reclaim.unmap(root, address, pages.into(), &entry.mappings);
        entry.refund_tables(tables);
        let others = self.having(root);
        if others != 0 {
            reclaim.flush(others);
        }
        let entry = &mut self.regions[usize::from(region)];
        entry.mapped -= 1;
        entry.writable -= u16::from(access == Use::Write);
        entry.executable -= u16::from(access == Use::Execute);
        self.free_region(region, reclaim);
    }

    /// Where a touch of `address` by process `space` leads, if a mapping allows it. The mapping that
    /// was touched last is looked at first.
    #[inline(always)]
    pub fn reached(&mut self, space: u8, address: u64, touch: Touch) -> Option<Place> {
        let space = self.space(space);
        let covers = |m: &Mapping| address.wrapping_sub(m.address) < m.len();
        if !covers(&space.mappings[usize::from(space.last) % MAPPINGS]) {
            space.last = space.mappings.iter().position(covers)? as u8;
        }
        let found = space.mappings[usize::from(space.last) % MAPPINGS];
        let allowed = match touch {
            Touch::Read => found.region != 0,
            Touch::Write => found.access == Use::Write,
            Touch::Execute => found.access == Use::Execute,
        };
        allowed.then_some(Place {
            region: found.region,
            page: (address - found.address) / PAGE,
            access: found.access,
        })
    }
}
