//! Pages of processes that come into being when they are touched: zeros, copies, and those of user
//! pagers. The system says what a page is; here it gets its frame and its place in the tables.

use crate::cpu::Kernel;
use crate::spaces::{self, PAGE, Regions, Standing, UserTables};
use crate::{memory, processors};
use tessera_abi::{error::Error, message, number};
use tessera_objects::system::fault::Supply;
use tessera_objects::system::mapping::{Place, Touch};
use tessera_objects::system::region::{Origin, Region};
use tessera_objects::system::space::{SPACES, Use};
use tessera_objects::system::thread::Fault;
use tessera_objects::tables::{Access, Mapping};

/// What a touch came to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Touched {
    /// The page is there.
    There,
    /// A pager was asked: the thread waits, and touches it again.
    Asked,
    /// It may not be touched so, or there will be no page: `STATUS_*` of a process that cannot go
    /// on without it, 0 where that is an exception.
    Not(u64),
}

impl Kernel {
    /// The running thread touches `address`.
    #[inline(always)]
    pub fn touch(&mut self, address: u64, touch: Touch) -> Touched {
        let me = self.system.current();
        let thread = self.system.thread(me);
        let (space, cr3) = (thread.space, thread.tables);
        let Some(place) = self.system.reached(space, address, touch) else {
            return Touched::Not(0);
        };
        let address = address & !(PAGE - 1);
        let region = &self.system.regions[usize::from(place.region)];
        let own = self
            .regions
            .of(place.region)
            .get(&Standing, region.pages, place.page);
        let page = match region.origin {
            Origin::Pager { .. } if own == 0 => return self.ask(&place, address, touch),
            Origin::Zero if own == 0 => self.make(&place, 0),
            Origin::Shared => return self.touch_shared(&place, cr3, address, own),
            Origin::Copy(source) if own == 0 => self.copied(&place, source, touch),
            _ => Some(Page::of(&place, own)),
        };
        let Some(page) = page else {
            return Touched::Not(number::STATUS_UNBACKED);
        };
        let tables = spaces::tables(self.regions.bits, cr3);
        let mapping = Mapping::user(page.access);
        match tables.set(&mut Standing, address, page.frame, mapping) {
            Ok(was) if was || page.broken => self.changed(&place, cr3, address),
            Ok(_) => Touched::There,
            Err(_) => Touched::Not(number::STATUS_UNBACKED),
        }
    }

    /// Gives a page a frame of its own: zeros, or what `original` has. `None`: there is none.
    #[inline(always)]
    fn make(&mut self, place: &Place, original: u64) -> Option<Page> {
        let pages = self.system.regions[usize::from(place.region)].pages;
        let list = self.regions.of(place.region);
        let frame = memory::with(|memory| {
            let frame = match original {
                0 => memory.frame(),
                _ => memory.copy(original),
            };
            let frame = frame?.keep();
            let set = list.set(&mut UserTables(memory), pages, place.page, frame);
            if set.is_err() {
                memory.free_kept(frame);
                return None;
            }
            Some(frame)
        })?;
        Some(Page {
            broken: original != 0,
            ..Page::of(place, frame)
        })
    }

    /// Maps a page that the host sees; `own` is its frame, 0 for none yet.
    #[cold]
    #[inline(never)]
    fn touch_shared(&mut self, place: &Place, cr3: u64, address: u64, own: u64) -> Touched {
        let frame = match own {
            0 => self.make_shared(place),
            _ => Some(own),
        };
        let mapping = Mapping::user_shared(access(place.access));
        let tables = spaces::tables(self.regions.bits, cr3);
        match frame.map(|frame| tables.set(&mut Standing, address, frame, mapping)) {
            Some(Ok(_)) => Touched::There,
            _ => Touched::Not(number::STATUS_UNBACKED),
        }
    }

    /// Gives a page a frame that the host sees. `None`: there is none.
    fn make_shared(&mut self, place: &Place) -> Option<u64> {
        let pages = self.system.regions[usize::from(place.region)].pages;
        let list = self.regions.of(place.region);
        memory::with(|memory| {
            let frame = memory.shared_frame()?;
            let set = list.set(&mut UserTables(memory), pages, place.page, frame);
            if set.is_err() {
                memory.free_shared(frame);
                return None;
            }
            Some(frame)
        })
    }

    /// Where the host finds a page of a region, made if need be. Errors: `BadArgument`, `OutOfMemory`.
    pub fn host_address(&mut self, region: u8, page: u64) -> Result<u64, Error> {
        let Region { pages, origin, .. } = self.system.regions[usize::from(region)];
        if origin != Origin::Shared || page >= pages {
            return Err(Error::BadArgument);
        }
        let frame = self.regions.of(region).get(&Standing, pages, page);
        if frame != 0 {
            return Ok(frame);
        }
        let place = Place {
            region,
            page,
            access: Use::Read,
        };
        self.make_shared(&place).ok_or(Error::OutOfMemory)
    }

    /// A page of a copy that has none of its own: the original's, for reading, or what is made of it.
    #[cold]
    #[inline(never)]
    fn copied(&mut self, place: &Place, source: u8, touch: Touch) -> Option<Page> {
        let pages = self.system.regions[usize::from(source)].pages;
        let original = match place.page < pages {
            true => self.regions.of(source).get(&Standing, pages, place.page),
            false => 0,
        };
        if original == 0 || touch == Touch::Write {
            return self.make(place, original);
        }
        let mut page = Page::of(place, original);
        if place.access == Use::Write {
            page.access = Access::Read;
        }
        Some(page)
    }

    /// A page of a region has another frame than somebody may have it mapped by.
    #[cold]
    #[inline(never)]
    fn changed(&mut self, place: &Place, cr3: u64, address: u64) -> Touched {
        self.forget(cr3, address);
        if self.system.regions[usize::from(place.region)].mappings() > 1 {
            self.take_out(place.region, place.page, (cr3, address));
        }
        Touched::There
    }

    /// All processors forget what they know of a page of a process whose entry changed.
    #[inline(always)]
    fn forget(&self, cr3: u64, virt: u64) {
        spaces::forget(virt, 1);
        let others = self.system.having(cr3);
        if others != 0 {
            processors::flush(others);
        }
    }

    #[cold]
    #[inline(never)]
    fn ask(&mut self, place: &Place, address: u64, touch: Touch) -> Touched {
        let fault = Fault {
            address,
            page: place.page as u32,
            touch: match touch {
                Touch::Read => message::TOUCH_READ,
                Touch::Write => message::TOUCH_WRITE,
                Touch::Execute => message::TOUCH_EXECUTE,
            },
            region: place.region,
        };
        match self.system.fault(fault) {
            true => Touched::Asked,
            false => Touched::Not(number::STATUS_UNPAGED),
        }
    }

    /// Takes a page of a region out of every process that has it mapped, but for one place; the
    /// running process is the likeliest.
    #[inline(always)]
    fn take_out(&mut self, region: u8, page: u64, but: (u64, u64)) {
        let own = self.system.current_space();
        let left = self.system.regions[usize::from(region)].mappings();
        let left = self.take_out_of(own, (region, page), but, left);
        if left != 0 {
            self.take_out_elsewhere(own, (region, page), but, left);
        }
    }

    #[cold]
    #[inline(never)]
    fn take_out_elsewhere(&self, own: u8, page: (u8, u64), but: (u64, u64), mut left: u16) {
        for space in (0..SPACES as u8).filter(|space| *space != own) {
            if left == 0 {
                return;
            }
            left = self.take_out_of(space, page, but, left);
        }
    }

    /// The same for one process; how many mappings of the region others have.
    #[inline(always)]
    fn take_out_of(
        &self,
        space: u8,
        (region, page): (u8, u64),
        but: (u64, u64),
        mut left: u16,
    ) -> u16 {
        let space = &self.system.spaces[usize::from(space) % SPACES];
        for mapping in space.mappings().filter(|m| m.region == region) {
            left -= 1;
            let (cr3, virt) = (space.tables, mapping.address + page * PAGE);
            let tables = spaces::tables(self.regions.bits, cr3);
            if (cr3, virt) != but && tables.take(&mut Standing, virt) {
                self.forget(cr3, virt);
            }
            if left == 0 {
                break;
            }
        }
        left
    }

    /// Moves the page that the running thread's reply hands in, if it does, and maps it for the
    /// thread that waits. Errors: `System::supply`; `BadArgument` where there is no such page.
    #[inline(always)]
    pub fn hand_in(&mut self) -> Result<(), Error> {
        match self.system.supply()? {
            Some(supply) => self.move_page(&supply),
            None => Ok(()),
        }
    }

    #[inline(always)]
    fn move_page(&mut self, supply: &Supply) -> Result<(), Error> {
        let Supply { from, to, thread } = *supply;
        let regions = &mut self.regions;
        let pages = self.system.regions[usize::from(to.0)].pages;
        // Where another thread's fault brought it already, the page stays with the pager.
        if regions.of(to.0).get(&Standing, pages, to.1) != 0 {
            return Ok(());
        }
        let source = self.system.regions[usize::from(from.0)].pages;
        let frame = regions.of(from.0).take(&mut Standing, source, from.1);
        if frame == 0 {
            return Err(Error::BadArgument);
        }
        if regions
            .of(to.0)
            .set(&mut Standing, pages, to.1, frame)
            .is_err()
        {
            note(regions, to, from, (pages, source), frame)?;
        }
        self.take_out(from.0, from.1, (0, 0));
        self.map_for(thread, frame);
        Ok(())
    }

    /// Maps the frame that a waiting thread asked for, where it still has the place.
    #[inline(always)]
    fn map_for(&mut self, thread: u8, frame: u64) {
        let waiting = self.system.thread(thread);
        let (space, cr3, fault) = (waiting.space, waiting.tables, waiting.fault);
        let place = self.system.reached(space, fault.address, Touch::Read);
        let place = place.filter(|p| (p.region, p.page) == (fault.region, fault.page.into()));
        if let Some(place) = place {
            let tables = spaces::tables(self.regions.bits, cr3);
            let mapping = Mapping::user(access(place.access));
            let _no_table = tables.set(&mut Standing, fault.address, frame, mapping);
        }
    }
}

/// Notes a frame where that takes a list page; it goes back to where it was if there is none.
/// Errors: `OutOfMemory`.
#[cold]
#[inline(never)]
fn note(
    regions: &mut Regions,
    to: (u8, u64),
    from: (u8, u64),
    (pages, source): (u64, u64),
    frame: u64,
) -> Result<(), Error> {
    memory::with(|memory| {
        let mut user = UserTables(memory);
        let noted = regions.of(to.0).set(&mut user, pages, to.1, frame);
        noted.map_err(|_| {
            let _there = regions.of(from.0).set(&mut user, source, from.1, frame);
            Error::OutOfMemory
        })
    })
}

fn access(access: Use) -> Access {
    match access {
        Use::Write => Access::Write,
        Use::Execute => Access::Execute,
        _ => Access::Read,
    }
}

/// A page as it is to be mapped.
struct Page {
    /// Its frame.
    frame: u64,
    /// How it may be mapped.
    access: Access,
    /// It was the original's until now: somebody may have that mapped.
    broken: bool,
}

impl Page {
    /// One whose frame is its own.
    #[inline(always)]
    fn of(place: &Place, frame: u64) -> Self {
        Self {
            frame,
            access: access(place.access),
            broken: false,
        }
    }
}
