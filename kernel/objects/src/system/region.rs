//! Regions: pages that exist when they are first touched, private copies of others, and those whose
//! pages a user pager brings. All pages are paid for when the region is made, so that touching
//! one never exceeds a quota. Frames are the kernel's business.

use super::objects::{Header, Reclaim, System};
use super::space::{Life, SPACES};
use super::thread::Context;
use crate::page_list::list_pages;
use tessera_abi::{error::Error, kind::Kind, number, rights};

/// Owner of a region whose owner is gone.
pub(super) const NOBODY: u8 = u8::MAX;

/// What a page is that was never touched.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Origin {
    /// Zeros.
    Zero,
    /// Zeros that the host sees from the moment of the first touch on, and may change.
    Shared,
    /// As in this region, which does not change any more.
    Copy(u8),
    /// What the pager that receives on this endpoint brings.
    Pager {
        /// Which endpoint.
        endpoint: u8,
        /// Its generation: of a later one the region knows nothing.
        generation: u32,
        /// Badge that the pager sees.
        badge: u64,
    },
}

/// Pages.
#[derive(Clone, Copy, Debug)]
pub struct Region {
    /// Common part. `used` stays while it is mapped or copied somewhere.
    pub header: Header,
    /// No handle names it any more; it waits for its last mapping and copy to go.
    pub(super) gone: bool,
    /// Mappings of it.
    pub(super) mapped: u16,
    /// Those that are writable.
    pub(super) writable: u16,
    /// Those that are executable.
    pub(super) executable: u16,
    /// Copies of it.
    pub(super) copies: u16,
    /// What an untouched page is.
    pub origin: Origin,
    /// How many.
    pub pages: u64,
}

impl Region {
    pub(super) const EMPTY: Self = Self {
        header: Header::EMPTY,
        gone: false,
        mapped: 0,
        writable: 0,
        executable: 0,
        copies: 0,
        origin: Origin::Zero,
        pages: 0,
    };

    /// In how many places it is mapped.
    pub fn mappings(&self) -> u16 {
        self.mapped
    }
}

impl<C: Context> System<C> {
    /// A region that process `owner` pays for; a handle to it in the running process' table, and
    /// its index. `origin` is a handle, 0, or `REGION_SHARED`, which is the caller's to allow. Errors: as
    /// `create_object`, `BadArgument`, `Busy`, those of the origin's handle.
    pub fn create_region(
        &mut self,
        pages: u64,
        owner: u8,
        origin: u64,
    ) -> Result<(u32, u8), Error> {
        let most = match origin {
            number::REGION_SHARED => number::SHARED_PAGES,
            _ => number::REGION_PAGES,
        };
        if pages == 0 || pages > most || self.space(owner).life != Life::Alive {
            return Err(Error::BadArgument);
        }
        let origin = self.origin(origin)?;
        let object = self.free_object(Kind::Region, owner)?;
        let lists = list_pages(pages);
        if !self.space(owner).charge(pages + lists) {
            return Err(Error::QuotaExceeded);
        }
        let holder = self.current_space();
        let handle = self.insert(holder, object, rights::ALL, 0);
        let handle = handle.inspect_err(|_| self.space(owner).refund(pages + lists))?;
        self.space(owner).overhead += lists;
        if let Origin::Copy(source) = origin {
            self.regions[usize::from(source)].copies += 1;
        }
        self.regions[usize::from(object.index)] = Region {
            header: Header {
                generation: object.generation,
                refs: 1,
                owner,
                used: true,
            },
            origin,
            pages,
            ..Region::EMPTY
        };
        Ok((handle, object.index))
    }

    /// What a handle that names a region's origin comes to.
    fn origin(&self, handle: u64) -> Result<Origin, Error> {
        match handle {
            0 => return Ok(Origin::Zero),
            number::REGION_SHARED => return Ok(Origin::Shared),
            _ => {}
        }
        let entry = self.entry(self.current_space(), handle)?;
        if entry.allows(Kind::Region, 0).is_err() {
            entry.allows(Kind::Endpoint, rights::SEND)?;
            return Ok(Origin::Pager {
                endpoint: entry.index,
                generation: entry.generation,
                badge: entry.badge,
            });
        }
        let source = &self.regions[usize::from(entry.index)];
        match source.origin {
            Origin::Zero if source.writable == 0 => Ok(Origin::Copy(entry.index)),
            Origin::Zero => Err(Error::Busy),
            _ => Err(Error::BadArgument),
        }
    }

    /// No handle names a region any more.
    pub(super) fn region_gone(&mut self, index: u8, reclaim: &mut impl Reclaim) {
        let region = &mut self.regions[usize::from(index)];
        let owner = region.header.owner;
        region.gone = true;
        self.free_region(index, reclaim);
        // Its frames outlive the owner only while others have it mapped or copied.
        let header = &mut self.regions[usize::from(index)].header;
        if header.used && matches!(self.spaces[usize::from(owner) % SPACES].life, Life::Dead(_)) {
            header.owner = NOBODY;
        }
    }

    /// Gives a region's frames back if nobody can reach them any more.
    pub(super) fn free_region(&mut self, index: u8, reclaim: &mut impl Reclaim) {
        let region = &mut self.regions[usize::from(index)];
        if !region.gone || region.mapped != 0 || region.copies != 0 {
            return;
        }
        let (pages, owner, origin) = (region.pages, region.header.owner, region.origin);
        *region = Region {
            header: Header {
                generation: region.header.generation,
                ..Header::EMPTY
            },
            ..Region::EMPTY
        };
        reclaim.region(index, pages, origin == Origin::Shared);
        if owner != NOBODY {
            let lists = list_pages(pages);
            self.space(owner).refund(pages + lists);
            self.space(owner).overhead -= lists;
        }
        if let Origin::Copy(source) = origin {
            self.regions[usize::from(source)].copies -= 1;
            // A source is no copy itself: this goes no deeper.
            self.free_region(source, reclaim);
        }
    }
}
