//! One value for each page, kept by 2 MiB where the values of a block follow from its first: a guest of
//! 64 GiB that nobody touches costs its host a word or two for each block.

use alloc::{boxed::Box, vec::Vec};

/// Pages of a block.
pub const BLOCK: u64 = 512;

/// A value that goes on from page to page.
pub trait Follows: Copy + PartialEq {
    /// The value `pages` pages on.
    fn after(self, pages: u64) -> Self;
}

#[derive(Clone, Debug)]
enum Block<T> {
    /// The first page's value; the others follow.
    Run(T),
    /// A value for each page.
    Each(Box<[T]>),
}

/// The values of the pages `0..len`.
#[derive(Clone, Debug)]
pub struct Runs<T> {
    blocks: Vec<Block<T>>,
    len: u64,
}

impl<T: Follows> Runs<T> {
    /// `len` pages; `first` gives the value of each block's first page, which the others follow.
    pub fn new(len: u64, first: impl Fn(u64) -> T) -> Self {
        let blocks = (0..len.div_ceil(BLOCK)).map(|block| Block::Run(first(block * BLOCK)));
        Self {
            blocks: blocks.collect(),
            len,
        }
    }

    /// How many pages.
    pub fn pages(&self) -> u64 {
        self.len
    }

    /// The value of a page.
    pub fn get(&self, page: u64) -> Option<T> {
        let at = page % BLOCK;
        match self.block(page)? {
            Block::Run(first) => Some(first.after(at)),
            Block::Each(values) => Some(values[at as usize]),
        }
    }

    /// Gives one page a value; `false` where there is no such page.
    pub fn set(&mut self, page: u64, value: T) -> bool {
        let Some(old) = self.get(page) else {
            return false;
        };
        let block = &mut self.blocks[(page / BLOCK) as usize];
        if let Block::Run(first) = *block
            && old != value
        {
            *block = Block::Each((0..BLOCK).map(|n| first.after(n)).collect());
        }
        if let Block::Each(values) = block {
            values[(page % BLOCK) as usize] = value;
        }
        true
    }

    /// The value of the first page of `page`'s block, where all 512 follow from it.
    pub fn run(&self, page: u64) -> Option<T> {
        match self.block(page).filter(|_| self.whole(page))? {
            Block::Run(first) => Some(*first),
            Block::Each(values) => {
                let first = values[0];
                let follow = |(n, value): (usize, &T)| *value == first.after(n as u64);
                values.iter().enumerate().all(follow).then_some(first)
            }
        }
    }

    /// Gives the block of `page` a value that its pages follow; `false` where it has no 512 pages.
    pub fn set_run(&mut self, page: u64, first: T) -> bool {
        let whole = self.whole(page);
        if whole {
            self.blocks[(page / BLOCK) as usize] = Block::Run(first);
        }
        whole
    }

    fn block(&self, page: u64) -> Option<&Block<T>> {
        self.blocks
            .get((page / BLOCK) as usize)
            .filter(|_| page < self.len)
    }

    fn whole(&self, page: u64) -> bool {
        page / BLOCK < self.len / BLOCK
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    impl Follows for Option<u64> {
        fn after(self, pages: u64) -> Self {
            self.map(|first| first + pages)
        }
    }

    #[derive(Clone, Copy, Debug)]
    enum Change {
        One(u64, Option<u64>),
        Run(u64, Option<u64>),
    }

    fn changes() -> impl Strategy<Value = Vec<Change>> {
        let value = || proptest::option::of(0u64..3000);
        let near = || prop_oneof![0u64..1500, 500u64..530, 1020u64..1030];
        let change = prop_oneof![
            (near(), value()).prop_map(|(page, value)| Change::One(page, value)),
            // The value that it has already.
            near().prop_map(|page| Change::One(page, Some(page))),
            (near(), value()).prop_map(|(page, value)| Change::Run(page, value)),
        ];
        proptest::collection::vec(change, 0..40)
    }

    proptest! {
        /// The last block has 300 pages.
        #[test]
        fn they_are_what_a_plain_table_is(changes in changes()) {
            let len = 2 * BLOCK + 300;
            let mut runs = Runs::new(len, Some);
            let mut plain: Vec<_> = (0..len).map(Some).collect();
            for change in changes {
                match change {
                    Change::One(page, value) => {
                        prop_assert_eq!(runs.set(page, value), page < len);
                        if let Some(place) = plain.get_mut(page as usize) {
                            *place = value;
                        }
                    }
                    Change::Run(page, value) => {
                        let whole = page < 2 * BLOCK;
                        prop_assert_eq!(runs.set_run(page, value), whole);
                        let first = page & !(BLOCK - 1);
                        for n in 0..BLOCK * u64::from(whole) {
                            plain[(first + n) as usize] = value.after(n);
                        }
                    }
                }
            }
            for page in 0..len + 600 {
                prop_assert_eq!(runs.get(page), plain.get(page as usize).copied());
            }
            for block in 0..4 {
                let pages = plain.get(block * 512..block * 512 + 512);
                let follow = |pages: &&[Option<u64>]| {
                    (0..512).all(|n| pages[n] == pages[0].after(n as u64))
                };
                prop_assert_eq!(runs.run(block as u64 * BLOCK), pages.filter(follow).map(|p| p[0]));
            }
        }
    }
}
