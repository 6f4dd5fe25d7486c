//! Memory of processes: page tables, and the frames of regions. All of it comes from the frame
//! allocator and goes back there.

use crate::{memory, windows};
use tessera_hw::instr;
use tessera_objects::frames::Frame;
use tessera_objects::system::objects::OBJECTS;
use tessera_objects::tables::{Access, Mapping, Size, TableMemory, Tables};

const PAGE: u64 = 4096;

/// The page that lists a region's frames, by region; 0: none. In the kernel's lock's care.
pub struct Regions([u64; OBJECTS]);

/// Page tables whose pages are frames.
struct UserTables<'a>(&'a mut memory::Memory);

impl TableMemory for UserTables<'_> {
    fn read(&self, table: u64, index: usize) -> u64 {
        windows::read_word(table + index as u64 * 8)
    }
    fn write(&mut self, table: u64, index: usize, entry: u64) {
        windows::write_word(table + index as u64 * 8, entry);
    }
    fn allocate(&mut self) -> Option<u64> {
        self.0.frame().map(Frame::keep)
    }
}

fn tables(memory: &memory::Memory, cr3: u64) -> Tables {
    let bits = memory.tables.bits;
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
        let space = tables(memory, cr3);
        space.free_lower(&mut UserTables(memory), |user, table| {
            give_back(user.0, table);
        });
        give_back(memory, space.root);
    });
}

fn give_back(memory: &mut memory::Memory, address: u64) {
    assert!(memory.frames.free_kept(address), "a frame came back twice");
}

/// Maps a page that somebody keeps. `None` when memory is used up or something is mapped there.
pub fn map(cr3: u64, virt: u64, address: u64, access: Access) -> Option<()> {
    memory::with(|memory| {
        let mapping = Mapping::user(access);
        let space = tables(memory, cr3);
        let mut user = UserTables(memory);
        space
            .map(&mut user, virt, address, Size::Small, mapping)
            .ok()
    })
}

/// Maps a page of code at its own address, for processors that start on these tables.
pub fn map_bridge(cr3: u64, page: u64) -> Option<()> {
    memory::with(|memory| {
        let space = tables(memory, cr3);
        let code = Mapping::kernel(Access::Execute);
        let mut user = UserTables(memory);
        space.map(&mut user, page, page, Size::Small, code).ok()
    })
}

/// Whether nothing is mapped in these pages.
pub fn is_free(cr3: u64, virt: u64, pages: u64) -> bool {
    memory::with(|memory| {
        let space = tables(memory, cr3);
        let user = UserTables(memory);
        (0..pages).all(|page| space.translate(&user, virt + page * PAGE).is_none())
    })
}

/// Takes pages out of a process, as far as they are mapped.
pub fn unmap(cr3: u64, virt: u64, pages: u64) {
    memory::with(|memory| {
        let space = tables(memory, cr3);
        for page in 0..pages {
            let virt = virt + page * PAGE;
            if space.unmap(&mut UserTables(memory), virt).is_ok() {
                instr::invlpg(virt);
            }
        }
    });
}

/// Whether a range belongs to a process (and is writable, if asked).
pub fn user_range(cr3: u64, virt: u64, len: u64, write: bool) -> bool {
    memory::with(|memory| {
        let space = tables(memory, cr3);
        space.user_range(&UserTables(memory), virt, len, write)
    })
}

impl Regions {
    /// No region has frames.
    pub const EMPTY: Self = Self([0; OBJECTS]);

    /// Gives a region its frames, zeroed. `None`, and nothing kept, when memory is used up.
    pub fn fill(&mut self, region: u8, pages: u64) -> Option<()> {
        let list = memory::with(memory::Memory::frame)?.keep();
        self.0[usize::from(region)] = list;
        for page in 0..pages {
            match memory::with(memory::Memory::frame) {
                Some(frame) => windows::write_word(list + page * 8, frame.keep()),
                None => {
                    self.empty(region);
                    return None;
                }
            }
        }
        Some(())
    }

    /// The frame of a page of a region.
    pub fn page(&self, region: u8, page: u64) -> u64 {
        windows::read_word(self.0[usize::from(region)] + page * 8)
    }

    /// Takes a region's frames back, if it has any.
    pub fn empty(&mut self, region: u8) {
        let list = core::mem::take(&mut self.0[usize::from(region)]);
        if list == 0 {
            return;
        }
        memory::with(|memory| {
            let frames = (0..PAGE / 8).map(|page| windows::read_word(list + page * 8));
            frames
                .take_while(|frame| *frame != 0)
                .for_each(|frame| give_back(memory, frame));
            give_back(memory, list);
        });
    }
}
