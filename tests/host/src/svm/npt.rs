//! Nested page tables of five levels, filled lazily with leaves of 4 KiB or 2 MiB. They are a cache of what
//! the technology resolves; a change of any page only needs `forget`.

use alloc::vec::Vec;

/// One table.
#[repr(C, align(4096))]
#[derive(Clone, Copy, Debug)]
struct Table([u64; 512]);

const PRESENT: u64 = 1 << 0;
const WRITABLE: u64 = 1 << 1;
const USER: u64 = 1 << 2;
const LARGE: u64 = 1 << 7;
const NO_EXECUTE: u64 = 1 << 63;
const ADDRESS: u64 = 0x000F_FFFF_FFFF_F000;

/// What a leaf allows. Reading is always allowed where a leaf exists.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Access {
    /// Writes.
    pub write: bool,
    /// Instruction fetches.
    pub execute: bool,
}

/// Everything allowed.
pub const ALL: Access = Access {
    write: true,
    execute: true,
};

/// Tables for memory at most.
const MOST: u64 = 1024;

/// A tree of nested tables.
#[derive(Debug)]
pub struct Npt {
    // Never grown past its capacity, so that tables stay where the entries point.
    tables: Vec<Table>,
}

impl Npt {
    /// An empty tree with room for `tables` tables.
    pub fn new(tables: usize) -> Self {
        let mut pool = Vec::with_capacity(tables.max(5));
        pool.push(Table([0; 512]));
        Self { tables: pool }
    }

    /// An empty tree for a guest whose memory ends at `memory`, with `beside` tables for the rest: room
    /// for all of it by 4 KiB, up to 2 GiB.
    pub fn of(memory: u64, beside: usize) -> Self {
        Self::new((memory >> 21).min(MOST) as usize + beside)
    }

    /// Host-physical address of the top table.
    pub fn root(&self) -> u64 {
        self.tables.as_ptr() as u64
    }

    /// Maps the 4 KiB page of `gpa` (52 bits) to host-physical `frame`. When the room is used
    /// up, everything is forgotten first: it is a cache.
    pub fn map(&mut self, gpa: u64, frame: u64, access: Access) {
        if self.tables.len() + 4 > self.tables.capacity() {
            self.clear();
        }
        let mut table = 0;
        for level in (1..5).rev() {
            table = self.descend(table, index(gpa, level));
        }
        self.tables[table].0[index(gpa, 0)] = leaf(frame, access);
    }

    /// Maps the 2 MiB page of `gpa` to host-physical `frame`, aligned to 2 MiB.
    pub fn map_large(&mut self, gpa: u64, frame: u64, access: Access) {
        if self.tables.len() + 4 > self.tables.capacity() {
            self.clear();
        }
        let mut table = 0;
        for level in (2..5).rev() {
            table = self.descend(table, index(gpa, level));
        }
        self.tables[table].0[index(gpa, 1)] = leaf(frame, access) | LARGE;
    }

    /// Forgets the page of `gpa`, with the whole leaf where it is a large one.
    pub fn forget(&mut self, gpa: u64) {
        let mut table = 0;
        for level in (1..5).rev() {
            let slot = index(gpa, level);
            match self.child(self.tables[table].0[slot]) {
                Some(child) => table = child,
                None => {
                    self.tables[table].0[slot] = 0;
                    return;
                }
            }
        }
        self.tables[table].0[index(gpa, 0)] = 0;
    }

    /// Forgets all pages of the 2 MiB of `gpa`.
    pub fn forget_block(&mut self, gpa: u64) {
        let mut table = 0;
        for level in (2..5).rev() {
            match self.child(self.tables[table].0[index(gpa, level)]) {
                Some(child) => table = child,
                None => return,
            }
        }
        let slot = index(gpa, 1);
        match self.child(self.tables[table].0[slot]) {
            Some(child) => self.tables[child].0 = [0; 512],
            None => self.tables[table].0[slot] = 0,
        }
    }

    /// Forgets everything.
    pub fn clear(&mut self) {
        self.tables.truncate(1);
        self.tables[0].0 = [0; 512];
    }

    /// The frame and access of a mapped page.
    pub fn lookup(&self, gpa: u64) -> Option<(u64, Access)> {
        let mut table = 0;
        let mut entry = 0;
        for level in (0..5).rev() {
            entry = self.tables[table].0[index(gpa, level)];
            match self.child(entry) {
                Some(child) if level > 0 => table = child,
                _ => break,
            }
        }
        if entry & LARGE != 0 {
            entry += gpa & 0x1F_F000;
        }
        let access = Access {
            write: entry & WRITABLE != 0,
            execute: entry & NO_EXECUTE == 0,
        };
        (entry & PRESENT != 0).then_some((entry & ADDRESS, access))
    }

    fn child(&self, entry: u64) -> Option<usize> {
        let offset = (entry & ADDRESS).wrapping_sub(self.root() & ADDRESS);
        (entry & (PRESENT | LARGE) == PRESENT).then_some((offset / 4096) as usize)
    }

    fn descend(&mut self, table: usize, slot: usize) -> usize {
        if let Some(child) = self.child(self.tables[table].0[slot]) {
            return child;
        }
        let child = self.tables.len();
        self.tables.push(Table([0; 512]));
        let address = self.root() + child as u64 * 4096;
        self.tables[table].0[slot] = address & ADDRESS | PRESENT | WRITABLE | USER;
        child
    }
}

fn leaf(frame: u64, access: Access) -> u64 {
    let write = if access.write { WRITABLE } else { 0 };
    let execute = if access.execute { 0 } else { NO_EXECUTE };
    frame & ADDRESS | PRESENT | USER | write | execute
}

fn index(gpa: u64, level: u32) -> usize {
    (gpa >> (12 + 9 * level)) as usize & 511
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn both_aliases_of_a_page_are_apart() {
        let mut npt = Npt::new(64);
        let c_bit = 1 << 51;
        npt.map(0x5000 | c_bit, 0x7000, ALL);
        assert_eq!(npt.lookup(0x5000), None);
        assert_eq!(npt.lookup(0x5000 | c_bit), Some((0x7000, ALL)));
        npt.forget(0x5000 | c_bit);
        assert_eq!(npt.lookup(0x5000 | c_bit), None);
    }

    #[test]
    fn a_large_leaf_covers_its_pages_and_gives_way() {
        let mut npt = Npt::new(64);
        npt.map_large(0x40_0000, 0x80_0000, ALL);
        assert_eq!(npt.lookup(0x40_3000), Some((0x80_3000, ALL)));
        npt.forget(0x40_3000);
        assert_eq!(npt.lookup(0x40_0000), None);
        npt.map_large(0x40_0000, 0x80_0000, ALL);
        npt.map(0x40_1000, 0x7000, ALL);
        assert_eq!(npt.lookup(0x40_1000), Some((0x7000, ALL)));
        assert_eq!(npt.lookup(0x40_0000), None);
    }

    #[test]
    fn a_block_is_forgotten_by_pages_and_as_a_leaf() {
        let mut npt = Npt::of(64 << 20, 32);
        npt.forget_block(0x40_0000);
        for gpa in [0x3F_F000, 0x40_0000, 0x5F_F000, 0x60_0000] {
            npt.map(gpa, 0x7000, ALL);
        }
        npt.forget_block(0x40_3000);
        let left = [0x3F_F000, 0x40_0000, 0x5F_F000, 0x60_0000].map(|gpa| npt.lookup(gpa));
        assert_eq!(
            left.map(|found| found.is_some()),
            [true, false, false, true]
        );
        npt.map(0x40_1000, 0x7000, ALL);
        assert_eq!(npt.lookup(0x40_1000), Some((0x7000, ALL)));
        npt.map_large(0x40_0000, 0x80_0000, ALL);
        npt.forget_block(0x5F_F000);
        assert_eq!(npt.lookup(0x40_0000), None);
    }

    #[test]
    fn a_full_tree_starts_again() {
        let mut npt = Npt::new(10);
        for i in 0..8u64 {
            npt.map(
                i << 40,
                0x1000,
                Access {
                    write: false,
                    execute: false,
                },
            );
        }
        let found = npt.lookup(7 << 40);
        assert_eq!(
            found,
            Some((
                0x1000,
                Access {
                    write: false,
                    execute: false
                }
            ))
        );
    }
}
