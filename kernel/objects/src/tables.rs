//! Four-level x86-64 page tables over memory that somebody else can read and write.
//!
//! Isolation is data here: `PageBits` says which bits a private and a shared page carry, so the
//! same code serves C-bit, shared bit, vTOM and none. Source of the entry format: APM vol. 2, 5.3.

/// Entry bit: present.
pub const PRESENT: u64 = 1 << 0;
/// Entry bit: writable.
pub const WRITABLE: u64 = 1 << 1;
/// Entry bit: user.
pub const USER: u64 = 1 << 2;
/// Entry bit: accessed.
pub const ACCESSED: u64 = 1 << 5;
/// Entry bit: dirty.
pub const DIRTY: u64 = 1 << 6;
/// Entry bit: large page.
pub const LARGE: u64 = 1 << 7;
/// Entry bit: no execute.
pub const NO_EXECUTE: u64 = 1 << 63;

/// Physical address bits of an entry, before the isolation bits are taken away.
const ADDRESS: u64 = 0x000F_FFFF_FFFF_F000;
const ENTRIES: u64 = 512;

/// What a page may be used for. Writable and executable at once cannot be said.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Access {
    /// Read only.
    Read,
    /// Read and write.
    Write,
    /// Read and execute.
    Execute,
}

/// The bits that tell private from shared pages.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct PageBits {
    /// Set in entries of private pages and of tables.
    pub private: u64,
    /// Set in entries of shared pages.
    pub shared: u64,
}

/// Whose a page is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Visibility {
    /// The guest's alone.
    Private,
    /// The host may read and write it.
    Shared,
}

/// How a page is mapped.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Mapping {
    /// What it may be used for.
    pub access: Access,
    /// Whether ring 3 may.
    pub user: bool,
    /// Whose it is.
    pub visibility: Visibility,
}

impl Mapping {
    /// A private supervisor page.
    pub const fn kernel(access: Access) -> Self {
        Self {
            access,
            user: false,
            visibility: Visibility::Private,
        }
    }
    /// A private user page.
    pub const fn user(access: Access) -> Self {
        Self {
            access,
            user: true,
            visibility: Visibility::Private,
        }
    }
    /// A shared supervisor page, read and write.
    pub const SHARED: Self = Self {
        access: Access::Write,
        user: false,
        visibility: Visibility::Shared,
    };
}

/// Memory that holds page tables. Addresses are guest physical, tables are 4 KiB.
pub trait TableMemory {
    /// Entry `index` (0..512) of `table`.
    fn read(&self, table: u64, index: usize) -> u64;
    /// Writes entry `index` of `table`.
    fn write(&mut self, table: u64, index: usize, entry: u64);
    /// A zeroed table, or `None` when there are no more.
    fn allocate(&mut self) -> Option<u64>;
}

/// Why a mapping was not changed. The caller is at fault unless memory ran out.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Error {
    /// No frame for a table.
    OutOfTables,
    /// Something is mapped there already.
    AlreadyMapped,
    /// Nothing is mapped there.
    NotMapped,
    /// The address is not aligned to the page.
    Misaligned,
}

/// Page size of a mapping.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Size {
    /// 4 KiB.
    Small,
    /// 2 MiB.
    Large,
}

impl Size {
    /// Bytes of such a page.
    pub const fn bytes(self) -> u64 {
        match self {
            Size::Small => 4096,
            Size::Large => 2 << 20,
        }
    }
    const fn leaf_level(self) -> u32 {
        match self {
            Size::Small => 0,
            Size::Large => 1,
        }
    }
}

/// One address space: its root table and its isolation bits.
#[derive(Clone, Copy, Debug)]
pub struct Tables {
    /// Guest physical address of the level-4 table, without isolation bits.
    pub root: u64,
    /// Isolation bits.
    pub bits: PageBits,
}

impl Tables {
    /// An empty address space. Errors: `OutOfTables`.
    pub fn new(memory: &mut impl TableMemory, bits: PageBits) -> Result<Self, Error> {
        Ok(Self {
            root: memory.allocate().ok_or(Error::OutOfTables)?,
            bits,
        })
    }

    /// Value for CR3: the root with the private bits.
    pub const fn cr3(&self) -> u64 {
        self.root | self.bits.private
    }

    /// Makes the level-3 table of `virt`, so that copies of the root made later share it.
    /// Errors: `OutOfTables`.
    pub fn prepare(&self, memory: &mut impl TableMemory, virt: u64) -> Result<(), Error> {
        self.walk(memory, virt, 2, true).map(|_| ())
    }

    /// Calls `free` for every table below the root that serves addresses of the lower half, the
    /// deepest ones first, and forgets them. Pages that are mapped there are not touched.
    pub fn free_lower<M: TableMemory>(&self, memory: &mut M, mut free: impl FnMut(&mut M, u64)) {
        self.free_below(memory, self.root, 3, 0..256, &mut free);
    }

    fn free_below<M: TableMemory>(
        &self,
        memory: &mut M,
        table: u64,
        level: u32,
        entries: core::ops::Range<usize>,
        free: &mut impl FnMut(&mut M, u64),
    ) {
        for index in entries {
            let entry = memory.read(table, index);
            if level == 0 || entry & PRESENT == 0 || entry & LARGE != 0 {
                continue;
            }
            let next = self.address(entry);
            self.free_below(memory, next, level - 1, 0..512, free);
            memory.write(table, index, 0);
            free(memory, next);
        }
    }

    /// Maps one page. Errors: `Misaligned`, `AlreadyMapped`, `OutOfTables`.
    pub fn map(
        &self,
        memory: &mut impl TableMemory,
        virt: u64,
        phys: u64,
        size: Size,
        mapping: Mapping,
    ) -> Result<(), Error> {
        if !(virt | phys).is_multiple_of(size.bytes()) {
            return Err(Error::Misaligned);
        }
        let table = self.walk(memory, virt, size.leaf_level(), true)?;
        let index = index(virt, size.leaf_level());
        if memory.read(table, index) & PRESENT != 0 {
            return Err(Error::AlreadyMapped);
        }
        memory.write(table, index, self.leaf(phys, size, mapping));
        Ok(())
    }

    /// Maps `len` bytes from `virt` to `phys` by small pages. Errors: as `map`.
    pub fn map_range(
        &self,
        memory: &mut impl TableMemory,
        virt: u64,
        phys: u64,
        len: u64,
        mapping: Mapping,
    ) -> Result<(), Error> {
        for offset in (0..len).step_by(4096) {
            self.map(memory, virt + offset, phys + offset, Size::Small, mapping)?;
        }
        Ok(())
    }

    /// Maps `len` bytes from `virt` to `phys` by as few pages as the addresses allow. Errors: as `map`.
    pub fn map_largest(
        &self,
        memory: &mut impl TableMemory,
        virt: u64,
        phys: u64,
        len: u64,
        mapping: Mapping,
    ) -> Result<(), Error> {
        let mut at = 0;
        while at < len {
            let aligned = ((virt + at) | (phys + at)).is_multiple_of(Size::Large.bytes());
            let size = match aligned && len - at >= Size::Large.bytes() {
                true => Size::Large,
                false => Size::Small,
            };
            self.map(memory, virt + at, phys + at, size, mapping)?;
            at += size.bytes();
        }
        Ok(())
    }

    /// Where `virt` is in a large page, maps the same by small ones. Who takes one of them away makes all
    /// processors forget it. Errors: `OutOfTables`.
    pub fn split(&self, memory: &mut impl TableMemory, virt: u64) -> Result<(), Error> {
        let Some(above) = self.table(memory, virt, 1) else {
            return Ok(());
        };
        let entry = memory.read(above, index(virt, 1));
        if entry & (PRESENT | LARGE) != PRESENT | LARGE {
            return Ok(());
        }
        let table = memory.allocate().ok_or(Error::OutOfTables)?;
        for small in 0..ENTRIES {
            memory.write(table, small as usize, (entry & !LARGE) + small * 4096);
        }
        memory.write(above, index(virt, 1), self.link(table));
        Ok(())
    }

    /// Takes a small page away and returns its physical address. Errors: `NotMapped`;
    /// `AlreadyMapped` in a large page.
    pub fn unmap(&self, memory: &mut impl TableMemory, virt: u64) -> Result<u64, Error> {
        let table = self.walk(memory, virt, 0, false)?;
        let entry = memory.read(table, index(virt, 0));
        if entry & PRESENT == 0 {
            return Err(Error::NotMapped);
        }
        memory.write(table, index(virt, 0), 0);
        Ok(self.address(entry))
    }

    /// Tables that are missing for small pages in `virt..virt + len`, which is not empty.
    pub fn missing(&self, memory: &impl TableMemory, virt: u64, len: u64) -> u64 {
        (0..3)
            .map(|level| self.missing_at(memory, virt, len, level))
            .sum()
    }

    /// Tables of `level` that are missing.
    fn missing_at(&self, memory: &impl TableMemory, virt: u64, len: u64, level: u32) -> u64 {
        spans(virt, len, level)
            .filter(|span| self.table(memory, *span, level).is_none())
            .count() as u64
    }

    /// Makes the tables that `missing` counts. Errors: `OutOfTables`; those made stay.
    pub fn prepare_range(
        &self,
        memory: &mut impl TableMemory,
        virt: u64,
        len: u64,
    ) -> Result<(), Error> {
        for span in spans(virt, len, 0) {
            self.walk(memory, span, 0, true)?;
        }
        Ok(())
    }

    /// Takes all small pages of `virt..virt + len` away that are there.
    pub fn unmap_range(&self, memory: &mut impl TableMemory, virt: u64, len: u64) {
        for span in spans(virt, len, 0) {
            let Some(table) = self.table(memory, span, 0) else {
                continue;
            };
            let first = span.max(virt);
            let end = (span + span_bytes(0)).min(virt + len);
            for page in (first..end).step_by(4096) {
                memory.write(table, index(page, 0), 0);
            }
        }
    }

    /// Takes tables away that serve `virt..virt + len` and for whose addresses `keep` (first
    /// address, bytes) is false: nothing is mapped there. Calls `free` for each; how many.
    pub fn prune<M: TableMemory>(
        &self,
        memory: &mut M,
        virt: u64,
        len: u64,
        keep: impl Fn(u64, u64) -> bool,
        mut free: impl FnMut(&mut M, u64),
    ) -> u64 {
        let mut count = 0;
        for level in 0..3 {
            for span in spans(virt, len, level) {
                if keep(span, span_bytes(level)) {
                    continue;
                }
                let Some(above) = self.table(memory, span, level + 1) else {
                    continue;
                };
                let entry = memory.read(above, index(span, level + 1));
                if entry & PRESENT != 0 {
                    memory.write(above, index(span, level + 1), 0);
                    free(memory, self.address(entry));
                    count += 1;
                }
            }
        }
        count
    }

    /// The table of `level` that serves `virt`.
    fn table(&self, memory: &impl TableMemory, virt: u64, level: u32) -> Option<u64> {
        let mut table = self.root;
        for level in (level + 1..4).rev() {
            let entry = memory.read(table, index(virt, level));
            if entry & PRESENT == 0 || entry & LARGE != 0 {
                return None;
            }
            table = self.address(entry);
        }
        Some(table)
    }

    /// The last table on the way to `virt`.
    #[inline(always)]
    fn last(&self, memory: &impl TableMemory, virt: u64) -> Option<u64> {
        let table = self.below(memory, self.root, index(virt, 3))?;
        let table = self.below(memory, table, index(virt, 2))?;
        self.below(memory, table, index(virt, 1))
    }

    #[inline(always)]
    fn below(&self, memory: &impl TableMemory, table: u64, index: usize) -> Option<u64> {
        let entry = memory.read(table, index);
        (entry & (PRESENT | LARGE) == PRESENT).then(|| self.address(entry))
    }

    /// Takes a small page away; whether it was there.
    #[inline(always)]
    pub fn take(&self, memory: &mut impl TableMemory, virt: u64) -> bool {
        let Some(table) = self.last(memory, virt) else {
            return false;
        };
        let there = memory.read(table, index(virt, 0)) & PRESENT != 0;
        memory.write(table, index(virt, 0), 0);
        there
    }

    /// Puts a page where nothing, or the same page with less access, is mapped; its table is there.
    /// Whether something was mapped before, which processors may remember. Errors: `NotMapped`
    /// without a table.
    #[inline(always)]
    pub fn set(
        &self,
        memory: &mut impl TableMemory,
        virt: u64,
        phys: u64,
        mapping: Mapping,
    ) -> Result<bool, Error> {
        let table = self.last(memory, virt).ok_or(Error::NotMapped)?;
        let index = index(virt, 0);
        let before = memory.read(table, index);
        memory.write(table, index, self.leaf(phys, Size::Small, mapping));
        Ok(before & PRESENT != 0)
    }

    /// Where `virt` leads: physical address and entry flags, or `None`.
    pub fn translate(&self, memory: &impl TableMemory, virt: u64) -> Option<(u64, u64)> {
        let mut table = self.root;
        for level in (0..4).rev() {
            let entry = memory.read(table, index(virt, level));
            if entry & PRESENT == 0 {
                return None;
            }
            if level == 0 || (level == 1 && entry & LARGE != 0) {
                let offset = virt & ((4096 << (9 * level)) - 1);
                return Some((self.address(entry) + offset, entry & !ADDRESS));
            }
            table = self.address(entry);
        }
        None
    }

    /// Whether every page of `virt..virt + len` is a user page (writable where `write`).
    /// An overflowing or empty-mapped range is not.
    pub fn user_range(&self, memory: &impl TableMemory, virt: u64, len: u64, write: bool) -> bool {
        let Some(end) = virt.checked_add(len) else {
            return false;
        };
        if end > 1 << 47 {
            return false;
        }
        let wanted = USER | if write { WRITABLE } else { 0 };
        let mut page = virt & !4095;
        while page < end {
            match self.translate(memory, page) {
                Some((_, flags)) if flags & wanted == wanted => page += 4096,
                _ => return false,
            }
        }
        true
    }

    fn walk(
        &self,
        memory: &mut impl TableMemory,
        virt: u64,
        leaf: u32,
        create: bool,
    ) -> Result<u64, Error> {
        let mut table = self.root;
        for level in (leaf + 1..4).rev() {
            let index = index(virt, level);
            let entry = memory.read(table, index);
            if entry & PRESENT != 0 {
                if entry & LARGE != 0 && level == 1 {
                    return Err(Error::AlreadyMapped);
                }
                table = self.address(entry);
            } else if create {
                let next = memory.allocate().ok_or(Error::OutOfTables)?;
                memory.write(table, index, self.link(next));
                table = next;
            } else {
                return Err(Error::NotMapped);
            }
        }
        Ok(table)
    }

    /// The entry of a table.
    const fn link(&self, table: u64) -> u64 {
        table | PRESENT | WRITABLE | USER | ACCESSED | self.bits.private
    }

    fn leaf(&self, phys: u64, size: Size, mapping: Mapping) -> u64 {
        let access = match mapping.access {
            Access::Read => NO_EXECUTE,
            Access::Write => WRITABLE | NO_EXECUTE | DIRTY,
            Access::Execute => 0,
        };
        let visibility = match mapping.visibility {
            Visibility::Private => self.bits.private,
            Visibility::Shared => self.bits.shared,
        };
        let user = if mapping.user { USER } else { 0 };
        let large = if size == Size::Large { LARGE } else { 0 };
        phys | PRESENT | ACCESSED | access | visibility | user | large
    }

    fn address(&self, entry: u64) -> u64 {
        entry & ADDRESS & !(self.bits.private | self.bits.shared)
    }
}

/// Bytes that a table of `level` serves.
const fn span_bytes(level: u32) -> u64 {
    4096 << (9 * (level + 1))
}

/// First addresses of what tables of `level` serve, as far as they touch `virt..virt + len`.
fn spans(virt: u64, len: u64, level: u32) -> impl Iterator<Item = u64> {
    let bytes = span_bytes(level);
    (virt / bytes..(virt + len).div_ceil(bytes)).map(move |n| n * bytes)
}

const fn index(virt: u64, level: u32) -> usize {
    ((virt >> (12 + 9 * level)) % ENTRIES) as usize
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use std::collections::BTreeMap;
    use std::vec::Vec;

    #[derive(Default)]
    struct Fake {
        tables: Vec<[u64; 512]>,
    }
    impl TableMemory for Fake {
        fn read(&self, table: u64, index: usize) -> u64 {
            self.tables[table as usize / 4096 - 1][index]
        }
        fn write(&mut self, table: u64, index: usize, entry: u64) {
            self.tables[table as usize / 4096 - 1][index] = entry;
        }
        fn allocate(&mut self) -> Option<u64> {
            self.tables.push([0; 512]);
            (self.tables.len() <= 64).then_some(self.tables.len() as u64 * 4096)
        }
    }

    const PRIVATE_51: PageBits = PageBits {
        private: 1 << 51,
        shared: 0,
    };
    const SHARED_47: PageBits = PageBits {
        private: 0,
        shared: 1 << 47,
    };

    #[test]
    fn private_and_shared_bits_are_where_the_mode_wants_them() {
        for (bits, private, shared) in [(PRIVATE_51, 1 << 51, 0), (SHARED_47, 0, 1 << 47)] {
            let mut memory = Fake::default();
            let tables = Tables::new(&mut memory, bits).unwrap();
            let write = Mapping::kernel(Access::Write);
            tables
                .map(&mut memory, 0x1000, 0x5000, Size::Small, write)
                .unwrap();
            tables
                .map(&mut memory, 0x2000, 0x6000, Size::Small, Mapping::SHARED)
                .unwrap();
            let leaf = (0..4).rev().fold(tables.root, |table, level| {
                let entry = memory.read(table, index(0x1000, level));
                assert_eq!(entry & (1 << 51), private & (1 << 51), "level {level}");
                entry & 0x7FFF_FFFF_F000
            });
            assert_eq!(leaf, 0x5000);
            let table = tables.walk(&mut memory, 0x2000, 0, false).unwrap();
            let entry = memory.read(table, 2);
            assert_eq!(entry & (1 << 51 | 1 << 47), shared);
            assert_eq!(tables.translate(&memory, 0x2004).unwrap().0, 0x6004);
        }
    }

    #[test]
    fn nothing_is_writable_and_executable() {
        let mut memory = Fake::default();
        let tables = Tables::new(&mut memory, PRIVATE_51).unwrap();
        for access in [Access::Read, Access::Write, Access::Execute] {
            let entry = tables.leaf(0, Size::Small, Mapping::kernel(access));
            assert!(entry & WRITABLE == 0 || entry & NO_EXECUTE != 0);
        }
    }

    #[test]
    fn user_ranges_reject_kernel_pages_holes_and_overflow() {
        let mut memory = Fake::default();
        let tables = Tables::new(&mut memory, SHARED_47).unwrap();
        let mut map = |virt, mapping| tables.map(&mut memory, virt, 0, Size::Small, mapping);
        map(0x40_0000, Mapping::user(Access::Write)).unwrap();
        map(0x40_1000, Mapping::user(Access::Read)).unwrap();
        map(0x40_2000, Mapping::kernel(Access::Write)).unwrap();
        assert!(tables.user_range(&memory, 0x40_0FFF, 2, false));
        assert!(!tables.user_range(&memory, 0x40_0FFF, 2, true));
        assert!(!tables.user_range(&memory, 0x40_1FFF, 2, false));
        assert!(!tables.user_range(&memory, 0x40_3000, 1, false));
        assert!(!tables.user_range(&memory, u64::MAX, 2, false));
    }

    #[test]
    fn a_large_page_is_split_where_a_part_of_it_goes() {
        let mut memory = Fake::default();
        let tables = Tables::new(&mut memory, PRIVATE_51).unwrap();
        let write = Mapping::kernel(Access::Write);
        let (virt, phys) = (0x7FF_F000, 0x3FF_F000);
        tables
            .map_largest(&mut memory, virt, phys, 0x40_2000, write)
            .unwrap();
        let flags = |memory: &Fake, at| tables.translate(memory, at).unwrap();
        assert_eq!(
            memory.tables.len(),
            5,
            "two tables for the ends, none between"
        );
        assert_eq!(
            tables.unmap(&mut memory, 0x810_3000),
            Err(Error::AlreadyMapped)
        );
        let before = flags(&memory, 0x810_3000);
        assert_eq!(before.1 & LARGE, LARGE);
        for _ in 0..2 {
            tables.split(&mut memory, 0x810_3008).unwrap();
            assert_eq!(memory.tables.len(), 6);
        }
        for page in (virt..virt + 0x40_2000).step_by(4096) {
            assert_eq!(flags(&memory, page).0, phys + (page - virt));
        }
        assert_eq!(flags(&memory, 0x810_3000), (before.0, before.1 & !LARGE));
        assert_eq!(tables.unmap(&mut memory, 0x810_3000), Ok(0x410_3000));
        assert_eq!(tables.translate(&memory, 0x810_3000), None);
        assert_eq!(flags(&memory, 0x810_4000).0, 0x410_4000);
        assert_eq!(flags(&memory, 0x820_0000).1 & LARGE, LARGE);
    }

    #[test]
    fn running_out_of_tables_is_an_error() {
        let mut memory = Fake::default();
        let tables = Tables::new(&mut memory, SHARED_47).unwrap();
        let result = (0..64).try_for_each(|n| {
            tables.map(
                &mut memory,
                n << 39,
                0,
                Size::Small,
                Mapping::kernel(Access::Read),
            )
        });
        assert_eq!(result, Err(Error::OutOfTables));
    }

    proptest! {
        /// Ranges come and go; the tables that are missing are counted rightly before, and all that
        /// nothing needs any more come back.
        #[test]
        fn ranges_need_and_give_back_their_tables(
            steps in prop::collection::vec((0u64..8, 1u64..1500), 1..40),
        ) {
            let mut memory = Fake::default();
            let tables = Tables::new(&mut memory, SHARED_47).unwrap();
            let mut ranges: BTreeMap<u64, u64> = BTreeMap::new();
            let mut live = 1;
            for (place, pages) in steps {
                // Places share tables of all levels: 2 MiB, 1 GiB and 512 GiB apart.
                let virt = 0x40_0000 + (place & 1) * 0x60_0000 + ((place >> 1 & 1) << 30)
                    + (place >> 2 << 39);
                let len = pages * 4096;
                if let Some(len) = ranges.remove(&virt) {
                    let keep = |first: u64, bytes: u64| ranges.iter()
                        .any(|(virt, len)| *virt < first + bytes && first < virt + len);
                    tables.unmap_range(&mut memory, virt, len);
                    let mut freed = 0;
                    let count = tables.prune(&mut memory, virt, len, keep, |_, _| freed += 1);
                    prop_assert_eq!(count, freed);
                    live -= freed;
                } else {
                    let missing = tables.missing(&memory, virt, len);
                    let before = memory.tables.len() as u64;
                    if tables.prepare_range(&mut memory, virt, len).is_err() {
                        return Ok(());
                    }
                    prop_assert_eq!(memory.tables.len() as u64 - before, missing);
                    live += missing;
                    let last = virt + len - 4096;
                    let write = Mapping::user(Access::Write);
                    prop_assert_eq!(tables.set(&mut memory, last, 0x9000, write), Ok(false));
                    prop_assert_eq!(tables.set(&mut memory, last, 0x9000, write), Ok(true));
                    ranges.insert(virt, len);
                }
                for (virt, len) in &ranges {
                    prop_assert_eq!(tables.missing(&memory, *virt, *len), 0);
                    prop_assert!(tables.translate(&memory, virt + len - 4096).is_some());
                }
            }
            let mut freed = 1;
            tables.free_lower(&mut memory, |_, _| freed += 1);
            prop_assert_eq!(freed, live);
        }
    }

    #[test]
    fn tables_of_the_lower_half_are_freed_once_and_the_upper_half_stays() {
        let mut memory = Fake::default();
        let tables = Tables::new(&mut memory, PRIVATE_51).unwrap();
        let upper = 0xFFFF_8000_0000_0000;
        tables.prepare(&mut memory, upper).unwrap();
        for virt in [0x1000, 0x20_0000, 1 << 39, (1 << 47) - 4096, upper] {
            let mapping = Mapping::user(Access::Write);
            tables
                .map(&mut memory, virt, 0x7000, Size::Small, mapping)
                .unwrap();
        }
        let mut freed = Vec::new();
        let mut twin = Fake {
            tables: memory.tables.clone(),
        };
        tables.free_lower(&mut twin, |_, table| freed.push(table));
        // Level 3, 2 and 1 of three places, and one more level 1.
        assert_eq!(freed.len(), 10);
        freed.sort_unstable();
        assert!(freed.is_sorted_by(|a, b| a < b));
        assert_eq!(tables.translate(&twin, 0x1000), None);
        assert!(tables.translate(&twin, upper).is_some());
    }

    proptest! {
        #[test]
        fn behaves_like_a_map(ops in prop::collection::vec((0u64..64, 0u64..1024, any::<bool>()), 1..200)) {
            let mut memory = Fake::default();
            let tables = Tables::new(&mut memory, PRIVATE_51).unwrap();
            let mut model = BTreeMap::new();
            for (page, frame, map) in ops {
                let virt = page * 4096;
                if map {
                    let result = tables.map(&mut memory, virt, frame * 4096, Size::Small,
                        Mapping::kernel(Access::Write));
                    prop_assert_eq!(result.is_ok(), !model.contains_key(&page));
                    model.entry(page).or_insert(frame);
                } else {
                    let result = tables.unmap(&mut memory, virt);
                    prop_assert_eq!(result.ok(), model.remove(&page).map(|f| f * 4096));
                }
            }
            for page in 0..64 {
                let found = tables.translate(&memory, page * 4096).map(|(phys, _)| phys / 4096);
                prop_assert_eq!(found, model.get(&page).copied());
            }
        }
    }
}
