//! Which frame is which page of a region: a few words in place, a tree of list pages for larger
//! regions, of which only those exist that have an entry. A page without a frame was never touched.

use crate::tables::TableMemory;

/// Pages of a region whose frames stand in place.
pub const INLINE: u64 = 8;
/// Entries of a list page.
const ENTRIES: u64 = 512;
/// Pages of a region at most: two levels of list pages.
pub const MOST: u64 = ENTRIES * ENTRIES;
const _: () = assert!(tessera_abi::number::REGION_PAGES <= MOST);

/// The frames of one region; which pages it has is its owner's to know, and always the same.
#[derive(Clone, Copy, Debug)]
pub struct PageList([u64; INLINE as usize]);

/// No frame for a list page.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct OutOfMemory;

/// List pages that a region of so many pages needs at most.
pub const fn list_pages(pages: u64) -> u64 {
    match depth(pages) {
        0 => 0,
        1 => 1,
        _ => 1 + pages.div_ceil(ENTRIES),
    }
}

/// Levels of list pages.
const fn depth(pages: u64) -> u32 {
    (pages > INLINE) as u32 + (pages > ENTRIES) as u32
}

impl PageList {
    /// No page has a frame.
    pub const EMPTY: Self = Self([0; INLINE as usize]);

    /// The frame of `page`, of `pages` in all; 0 for none.
    #[inline(always)]
    pub fn get(&self, memory: &impl TableMemory, pages: u64, page: u64) -> u64 {
        if pages <= INLINE {
            return self.0[page as usize % INLINE as usize];
        }
        let mut list = self.0[0];
        if pages > ENTRIES && list != 0 {
            list = memory.read(list, (page / ENTRIES) as usize);
        }
        match list {
            0 => 0,
            list => memory.read(list, (page % ENTRIES) as usize),
        }
    }

    /// Takes the frame of a page out; 0: it had none.
    #[inline(always)]
    pub fn take(&mut self, memory: &mut impl TableMemory, pages: u64, page: u64) -> u64 {
        let frame = self.get(memory, pages, page);
        if frame != 0 {
            let _there = self.set(memory, pages, page, 0);
        }
        frame
    }

    /// Notes the frame of a page; 0 takes it out. Errors: `OutOfMemory`, never for 0 or where
    /// `page` has a frame already.
    #[inline(always)]
    pub fn set(
        &mut self,
        memory: &mut impl TableMemory,
        pages: u64,
        page: u64,
        frame: u64,
    ) -> Result<(), OutOfMemory> {
        if pages <= INLINE {
            self.0[page as usize % INLINE as usize] = frame;
            return Ok(());
        }
        if self.0[0] == 0 {
            self.0[0] = memory.allocate().ok_or(OutOfMemory)?;
        }
        let mut list = self.0[0];
        if pages > ENTRIES {
            let (root, index) = (list, (page / ENTRIES) as usize);
            list = memory.read(root, index);
            if list == 0 {
                list = memory.allocate().ok_or(OutOfMemory)?;
                memory.write(root, index, list);
            }
        }
        memory.write(list, (page % ENTRIES) as usize, frame);
        Ok(())
    }

    /// Calls `free` for every frame and every list page (`true` for a frame), and is empty then.
    pub fn drain<M: TableMemory>(
        &mut self,
        memory: &mut M,
        pages: u64,
        mut free: impl FnMut(&mut M, u64, bool),
    ) {
        let words = core::mem::replace(&mut self.0, [0; INLINE as usize]);
        for word in words.into_iter().filter(|word| *word != 0) {
            drain_below(memory, word, depth(pages), &mut free);
        }
    }
}

/// Frees what a word leads to, after all below it.
fn drain_below<M: TableMemory>(
    memory: &mut M,
    word: u64,
    depth: u32,
    free: &mut impl FnMut(&mut M, u64, bool),
) {
    if depth > 0 {
        for index in 0..ENTRIES as usize {
            match memory.read(word, index) {
                0 => {}
                next => drain_below(memory, next, depth - 1, free),
            }
        }
    }
    free(memory, word, depth == 0);
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use std::collections::BTreeMap;
    use std::vec::Vec;

    /// List pages at 0x1000, 0x2000, ..; how many more there are.
    struct Fake(Vec<[u64; 512]>, usize);

    impl TableMemory for Fake {
        fn read(&self, table: u64, index: usize) -> u64 {
            self.0[table as usize / 4096 - 1][index]
        }
        fn write(&mut self, table: u64, index: usize, entry: u64) {
            self.0[table as usize / 4096 - 1][index] = entry;
        }
        fn allocate(&mut self) -> Option<u64> {
            self.1 = self.1.checked_sub(1)?;
            self.0.push([0; 512]);
            Some(self.0.len() as u64 * 4096)
        }
    }

    fn sizes() -> impl Strategy<Value = u64> {
        prop_oneof![1..=INLINE, INLINE..=600u64, 500u64..=2_000, Just(MOST)]
    }

    proptest! {
        /// Against the standard library's map; every frame and list page comes back once, and there
        /// are never more of the latter than were to be paid for.
        #[test]
        fn behaves_as_a_map(
            pages in sizes(),
            room in 0usize..9,
            steps in prop::collection::vec((any::<prop::sample::Index>(), any::<bool>()), 0..60),
        ) {
            let (mut list, mut memory) = (PageList::EMPTY, Fake(Vec::new(), room));
            let mut model = BTreeMap::new();
            let mut frame = 1 << 40;
            for (index, put) in steps {
                let page = index.index(pages as usize) as u64;
                frame += 4096;
                let value = if put { frame } else { 0 };
                if !put && !model.contains_key(&page) {
                    continue;
                }
                match list.set(&mut memory, pages, page, value) {
                    Ok(()) if put => _ = model.insert(page, frame),
                    Ok(()) => _ = model.remove(&page),
                    Err(OutOfMemory) => prop_assert!(put && memory.1 == 0),
                }
                prop_assert_eq!(
                    list.get(&memory, pages, page),
                    model.get(&page).copied().unwrap_or(0)
                );
            }
            for page in (0..pages).step_by(1 + pages as usize / 700) {
                let found = list.get(&memory, pages, page);
                prop_assert_eq!(found, model.get(&page).copied().unwrap_or(0));
            }
            prop_assert!(memory.0.len() as u64 <= list_pages(pages));
            let mut freed = Vec::new();
            list.drain(&mut memory, pages, |_, frame, own| {
                assert_eq!(own, frame >= 1 << 40);
                freed.push(frame);
            });
            let mut due: Vec<u64> = (1..=memory.0.len() as u64).map(|n| n * 4096).collect();
            due.extend(model.values());
            freed.sort_unstable();
            due.sort_unstable();
            prop_assert_eq!(freed, due);
            prop_assert_eq!(list.get(&memory, pages, 0), 0);
        }
    }
}
