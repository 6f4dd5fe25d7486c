//! A set of small pages out of any memory size, for sets that are dense where they are not empty:
//! the pages that a guest shares. Room for `N` chunks of 2 MiB.

use core::ops::Range;

/// Pages of a chunk.
const PAGES: u64 = 512;
const WORDS: usize = 8;

/// One chunk that has a member.
#[derive(Clone, Copy, Debug)]
struct Chunk {
    number: u64,
    bits: [u64; WORDS],
}

/// The set.
#[derive(Clone, Debug)]
pub struct PageSet<const N: usize> {
    chunks: [Chunk; N],
    used: usize,
}

/// No chunk is free for a page.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Full;

impl<const N: usize> Default for PageSet<N> {
    fn default() -> Self {
        Self::new()
    }
}

impl<const N: usize> PageSet<N> {
    /// The empty set.
    pub const fn new() -> Self {
        let empty = Chunk {
            number: 0,
            bits: [0; WORDS],
        };
        Self {
            chunks: [empty; N],
            used: 0,
        }
    }

    /// Whether page number `page` (address / 4,096) is in it.
    pub fn contains(&self, page: u64) -> bool {
        let (word, bit) = place(page);
        let chunk = self.find(page).map(|at| &self.chunks[at]);
        chunk.is_some_and(|chunk| chunk.bits[word] & bit != 0)
    }

    /// Puts a page in. Errors: `Full`; nothing is changed then.
    pub fn insert(&mut self, page: u64) -> Result<(), Full> {
        let at = match self.find(page) {
            Some(at) => at,
            None if self.used == N => return Err(Full),
            None => {
                self.chunks[self.used] = Chunk {
                    number: page / PAGES,
                    bits: [0; WORDS],
                };
                self.used += 1;
                self.used - 1
            }
        };
        let (word, bit) = place(page);
        self.chunks[at].bits[word] |= bit;
        Ok(())
    }

    /// Puts pages in, none of which is in it. Errors: `Full`; nothing is changed then.
    pub fn insert_all(&mut self, pages: Range<u64>) -> Result<(), Full> {
        for page in pages.clone() {
            if self.insert(page).is_err() {
                (pages.start..page).for_each(|page| self.remove(page));
                return Err(Full);
            }
        }
        Ok(())
    }

    /// Takes a page out.
    pub fn remove(&mut self, page: u64) {
        let Some(at) = self.find(page) else {
            return;
        };
        let (word, bit) = place(page);
        self.chunks[at].bits[word] &= !bit;
        if self.chunks[at].bits == [0; WORDS] {
            self.used -= 1;
            self.chunks[at] = self.chunks[self.used];
        }
    }

    fn find(&self, page: u64) -> Option<usize> {
        let used = &self.chunks[..self.used];
        used.iter().position(|chunk| chunk.number == page / PAGES)
    }
}

fn place(page: u64) -> (usize, u64) {
    let within = page % PAGES;
    ((within / 64) as usize, 1 << (within % 64))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use std::collections::BTreeSet;

    #[test]
    fn pages_that_do_not_all_fit_change_nothing() {
        let mut set = PageSet::<2>::new();
        assert_eq!(set.insert_all(10..13), Ok(()));
        // Two chunks more, of which one has room.
        assert_eq!(set.insert_all(1000..1030), Err(Full));
        assert!((0..2000).all(|page| set.contains(page) == (10..13).contains(&page)));
        assert_eq!(set.insert_all(1024..1030), Ok(()), "the room came back");
    }

    proptest! {
        /// Against the standard library's set, over few enough chunks to fill it.
        #[test]
        fn behaves_as_a_set(steps in prop::collection::vec((any::<bool>(), 0u64..5000), 0..400)) {
            let (mut set, mut model) = (PageSet::<4>::new(), BTreeSet::new());
            for (put, page) in steps {
                let chunks: BTreeSet<u64> = model.iter().map(|page| page / 512).collect();
                if put {
                    let fits = chunks.len() < 4 || chunks.contains(&(page / 512));
                    prop_assert_eq!(set.insert(page).is_ok(), fits);
                    if fits {
                        model.insert(page);
                    }
                } else {
                    set.remove(page);
                    model.remove(&page);
                }
                prop_assert_eq!(set.contains(page), model.contains(&page));
            }
            prop_assert!((0..5000).all(|page| set.contains(page) == model.contains(&page)));
        }
    }
}
