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
        .map_largest(&mut memory, virt, phys, 0x40_2000, Size::Large, write)
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
fn sixty_four_gib_need_few_tables_by_1_gib() {
    let mut memory = Fake::default();
    let tables = Tables::new(&mut memory, PRIVATE_51).unwrap();
    let (base, write) = (0xFFFF_8800_0000_0000, Mapping::kernel(Access::Write));
    const GIB: u64 = 1 << 30;
    // A guest's memory with the hole of a PC's devices; the last GiB is not whole.
    for (start, end) in [(0x60_0000, 3 * GIB), (4 * GIB, 65 * GIB + 0x40_1000)] {
        tables
            .map_largest(
                &mut memory,
                base + start,
                start,
                end - start,
                Size::Huge,
                write,
            )
            .unwrap();
    }
    // Root, level 3, two of level 2, one of level 1 for the page at the end.
    assert_eq!(memory.tables.len(), 5);
    let at = |gpa: u64| tables.translate(&memory, base + gpa);
    for gpa in [
        0x60_0000,
        0x7F_F123,
        GIB + 5,
        3 * GIB - 1,
        64 * GIB + 0x3654_3210,
        65 * GIB + 0x40_0FFF,
    ] {
        let (phys, flags) = at(gpa).unwrap();
        assert_eq!((phys, flags & PRESENT), (gpa, PRESENT));
    }
    for gpa in [0x5F_FFFF, 3 * GIB, 4 * GIB - 1, 65 * GIB + 0x40_1000] {
        assert_eq!(at(gpa), None, "{gpa:#x}");
    }
    let within = base + 5 * GIB + 0x1000;
    let taken = tables.map(&mut memory, within, 0, Size::Small, write);
    assert_eq!(taken, Err(Error::AlreadyMapped));
    assert_eq!(tables.unmap(&mut memory, within), Err(Error::AlreadyMapped));
    tables.split(&mut memory, within).unwrap();
    assert_eq!(memory.tables.len(), 5, "a page of 1 GiB stays whole");
    assert!(!tables.take(&mut memory, within));
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
