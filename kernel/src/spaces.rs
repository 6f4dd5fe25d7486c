//! Memory of processes: page tables, and the frames of regions. All of it comes from the frame
//! allocator and goes back there.

use crate::{memory, windows};
use tessera_hw::instr;
use tessera_objects::frames::Frame;
use tessera_objects::page_list::PageList;
use tessera_objects::system::objects::OBJECTS;
use tessera_objects::system::space::{Mapping as Mapped, Use};
use tessera_objects::tables::{Access, Mapping, PageBits, Size, TableMemory, Tables};

pub const PAGE: u64 = 4096;

/// Which frames are whose pages, by region. In the kernel's lock's care.
pub struct Regions {
    lists: [PageList; OBJECTS],
    /// Isolation bits of page tables.
    pub bits: PageBits,
}

/// Page tables whose pages are frames.
pub struct UserTables<'a>(pub &'a mut memory::Memory);

impl TableMemory for UserTables<'_> {
    #[inline(always)]
    fn read(&self, table: u64, index: usize) -> u64 {
        windows::read_word(table + index as u64 * 8)
    }
    #[inline(always)]
    fn write(&mut self, table: u64, index: usize, entry: u64) {
        windows::write_word(table + index as u64 * 8, entry);
    }
    fn allocate(&mut self) -> Option<u64> {
        self.0.frame().map(Frame::keep)
    }
}

/// Tables and lists as they stand, to which nothing is added. No lock but the kernel's.
pub struct Standing;

impl TableMemory for Standing {
    #[inline(always)]
    fn read(&self, table: u64, index: usize) -> u64 {
        windows::read_word(table + index as u64 * 8)
    }
    #[inline(always)]
    fn write(&mut self, table: u64, index: usize, entry: u64) {
        windows::write_word(table + index as u64 * 8, entry);
    }
    fn allocate(&mut self) -> Option<u64> {
        None
    }
}

/// The tables of a process, from its CR3.
#[inline(always)]
pub fn tables(bits: PageBits, cr3: u64) -> Tables {
    let root = cr3 & !(bits.private | bits.shared);
    Tables { root, bits }
}

/// Page tables for a process: the kernel's half, nothing else. The value for CR3; `None` when
/// memory is used up.
pub fn create() -> Option<u64> {
    memory::with(|memory| {
        let (upper, bits) = (memory.tables.root, memory.tables.bits);
        let mut user = UserTables(memory);
        let space = Tables::new(&mut user, bits).ok()?;
        for index in memory::UPPER_HALF {
            let entry = user.read(upper, index);
            user.write(space.root, index, entry);
        }
        Some(space.cr3())
    })
}

/// Gives all tables of a process back. Nobody uses them any more.
pub fn destroy(cr3: u64) {
    memory::with(|memory| {
        let space = tables(memory.tables.bits, cr3);
        space.free_lower(&mut UserTables(memory), |user, table| {
            give_back(user.0, table);
        });
        give_back(memory, space.root);
    });
}

fn give_back(memory: &mut memory::Memory, address: u64) {
    assert!(memory.free_kept(address), "a frame came back twice");
}

/// Maps a page that somebody keeps. `None` when memory is used up or something is mapped there.
pub fn map(cr3: u64, virt: u64, address: u64, access: Access) -> Option<()> {
    memory::with(|memory| {
        let mapping = Mapping::user(access);
        let space = tables(memory.tables.bits, cr3);
        let mut user = UserTables(memory);
        space
            .map(&mut user, virt, address, Size::Small, mapping)
            .ok()
    })
}

/// Maps a page of code at its own address, for processors that start on these tables.
pub fn map_bridge(cr3: u64, page: u64) -> Option<()> {
    memory::with(|memory| {
        let space = tables(memory.tables.bits, cr3);
        let code = Mapping::kernel(Access::Execute);
        let mut user = UserTables(memory);
        space.map(&mut user, page, page, Size::Small, code).ok()
    })
}

/// Tables that are missing for pages in a range.
pub fn missing(cr3: u64, virt: u64, pages: u64) -> u64 {
    memory::with(|memory| {
        let space = tables(memory.tables.bits, cr3);
        space.missing(&UserTables(memory), virt, pages * PAGE)
    })
}

/// Makes the tables for pages in a range. `None` when memory is used up; those made stay.
pub fn prepare(cr3: u64, virt: u64, pages: u64) -> Option<()> {
    memory::with(|memory| {
        let space = tables(memory.tables.bits, cr3);
        let mut user = UserTables(memory);
        space.prepare_range(&mut user, virt, pages * PAGE).ok()
    })
}

/// Takes pages out of a process, as far as they are mapped, and the tables that nothing of what is
/// left needs; how many.
pub fn unmap(cr3: u64, virt: u64, pages: u64, left: &[Mapped]) -> u64 {
    memory::with(|memory| {
        let space = tables(memory.tables.bits, cr3);
        let len = pages * PAGE;
        space.unmap_range(&mut UserTables(memory), virt, len);
        forget(virt, pages);
        let needs = |m: &Mapped, first, bytes| m.access != Use::Guard && m.touches(first, bytes);
        let keep = |first, bytes| left.iter().any(|m| needs(m, first, bytes));
        let free = |user: &mut UserTables, table| give_back(user.0, table);
        space.prune(&mut UserTables(memory), virt, len, keep, free)
    })
}

/// This processor forgets what it knows of pages whose entries changed.
pub fn forget(virt: u64, pages: u64) {
    const FEW: u64 = 32;
    if pages > FEW {
        return instr::flush_tlb();
    }
    for page in 0..pages {
        instr::invlpg(virt + page * PAGE);
    }
}

/// Whether a page is there for a process (and writable, if asked).
pub fn user_page(bits: PageBits, cr3: u64, virt: u64, write: bool) -> bool {
    tables(bits, cr3).user_range(&Standing, virt, 1, write)
}

impl Regions {
    /// No region has frames.
    pub const EMPTY: Self = Self {
        lists: [PageList::EMPTY; OBJECTS],
        bits: PageBits {
            private: 0,
            shared: 0,
        },
    };

    /// The frames of a region.
    #[inline(always)]
    pub fn of(&mut self, region: u8) -> &mut PageList {
        &mut self.lists[usize::from(region)]
    }

    /// Takes a region's frames back, which the host sees where they are `shared`.
    pub fn empty(&mut self, region: u8, pages: u64, shared: bool) {
        memory::with(|memory| {
            self.of(region)
                .drain(&mut UserTables(memory), pages, |user, frame, own| {
                    match shared && own {
                        true => assert!(user.0.free_shared(frame), "a frame came back twice"),
                        false => give_back(user.0, frame),
                    }
                });
        });
    }
}
