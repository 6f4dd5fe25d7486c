//! Which regions are mapped where. Page tables follow; they are the kernel's business.

use super::objects::{Reclaim, System};
use super::space::{Life, Mapping, SPACES};
use super::thread::Context;
use tessera_abi::error::Error;

/// First address behind the user's half, as far as regions go.
/// The last page stays free: the instruction after a SYSCALL there would have no address.
pub const USER_END: u64 = (1 << 47) - PAGE;
const PAGE: u64 = 4096;

impl<C: Context> System<C> {
    /// Notes that a region is mapped at `address` of a process; how many pages. Errors:
    /// `BadArgument`, `BadAddress`, `AlreadyMapped`, `TableFull`.
    pub fn map(&mut self, space: u8, region: u8, address: u64) -> Result<u64, Error> {
        if !address.is_multiple_of(PAGE) {
            return Err(Error::BadArgument);
        }
        let pages = self.regions[usize::from(region)].pages;
        let end = address.checked_add(pages * PAGE);
        if address == 0 || end.is_none_or(|end| end > USER_END) {
            return Err(Error::BadAddress);
        }
        let space = self.space(space);
        if space.life != Life::Alive {
            return Err(Error::BadHandle);
        }
        let overlaps = |m: &&Mapping| {
            m.address != 0
                && address < m.address + m.pages * PAGE
                && m.address < address + pages * PAGE
        };
        if space.mappings.iter().any(|m| overlaps(&m)) {
            return Err(Error::AlreadyMapped);
        }
        let free = space.mappings.iter_mut().find(|m| m.address == 0);
        *free.ok_or(Error::TableFull)? = Mapping {
            address,
            pages,
            region,
        };
        self.regions[usize::from(region)].mapped += 1;
        Ok(pages)
    }

    /// Takes the mapping away that starts at `address`. Errors: `BadAddress`.
    pub fn unmap(
        &mut self,
        space: u8,
        address: u64,
        reclaim: &mut impl Reclaim,
    ) -> Result<u64, Error> {
        let mappings = &self.spaces[usize::from(space) % SPACES].mappings;
        let slot = mappings.iter().position(|m| m.address == address);
        let slot = slot.filter(|_| address != 0).ok_or(Error::BadAddress)?;
        self.drop_mapping(space, slot, reclaim);
        Ok(0)
    }

    pub(super) fn drop_mapping(&mut self, space: u8, slot: usize, reclaim: &mut impl Reclaim) {
        let tables = self.space(space).tables;
        let mapping = &mut self.space(space).mappings[slot];
        let Mapping {
            address,
            pages,
            region,
        } = *mapping;
        mapping.address = 0;
        if address != 0 {
            reclaim.unmap(tables, address, pages);
            let others = self.having(tables);
            if others != 0 {
                reclaim.flush(others);
            }
            self.regions[usize::from(region)].mapped -= 1;
            self.free_region(region, reclaim);
        }
    }
}
