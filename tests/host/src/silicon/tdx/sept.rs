//! The secure EPT: which frame stands behind a private page, and whether the TD accepted it.
//! The host adds, augments and removes pages by SEAMCALL; it never edits an entry.
//! Source: 348549, "Secure EPT entry states".

use super::accept::LARGE;
use crate::memory::runs::{Follows, Runs};
use alloc::vec::Vec;

/// State of a private page.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum State {
    /// No page.
    #[default]
    Free,
    /// Augmented by the host, not accepted.
    Pending(u32),
    /// Added before the launch, or accepted.
    Mapped(u32),
}

/// One entry, for a 4 KiB page.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Entry {
    /// State and frame.
    pub state: State,
    /// Part of a 2 MiB mapping.
    pub large: bool,
    /// GPA_ATTR of L2 VM 1; 0 where the page is none of its own.
    pub l2: u16,
}

impl Follows for Entry {
    fn after(self, pages: u64) -> Self {
        let state = match self.state {
            State::Free => State::Free,
            State::Pending(frame) => State::Pending(frame.after(pages)),
            State::Mapped(frame) => State::Mapped(frame.after(pages)),
        };
        Self { state, ..self }
    }
}

/// The table.
#[derive(Clone, Debug)]
pub struct Sept {
    ram: Runs<Entry>,
    outside: Vec<(u64, Entry)>,
    accepted: u64,
}

impl Sept {
    /// An empty table for `pages` pages of RAM.
    pub fn new(pages: u64) -> Self {
        Self {
            ram: Runs::new(pages, |_| Entry::default()),
            outside: Vec::with_capacity(8),
            accepted: 0,
        }
    }

    /// The entry of a guest frame number.
    pub fn get(&self, gfn: u64) -> Entry {
        let outside = || {
            self.outside
                .iter()
                .find(|(at, _)| *at == gfn)
                .map(|(_, entry)| *entry)
        };
        self.ram.get(gfn).or_else(outside).unwrap_or_default()
    }

    /// The frame of an accepted page.
    pub fn mapped(&self, gfn: u64) -> Option<u32> {
        match self.get(gfn).state {
            State::Mapped(frame) => Some(frame),
            _ => None,
        }
    }

    /// The entry of the first page of a block of 2 MiB, where the others follow from it.
    pub fn run(&self, gfn: u64) -> Option<Entry> {
        self.ram.run(gfn)
    }

    /// Whether something that pages of a run have in common holds for all of `count` pages.
    pub fn all(&self, first: u64, count: u64, holds: impl Fn(Entry) -> bool) -> bool {
        match self.run(first).filter(|_| count == LARGE) {
            Some(entry) => holds(entry),
            None => (first..first + count).all(|gfn| holds(self.get(gfn))),
        }
    }

    /// Changes the entries of `count` pages, 1 or the 512 of a block, in what pages of a run have in
    /// common; not those outside RAM and the pages that were added.
    pub(super) fn change(&mut self, first: u64, count: u64, change: impl Fn(&mut Entry)) {
        let mut entry = self.run(first).filter(|_| count == LARGE);
        if let Some(entry) = &mut entry {
            change(entry);
            self.ram.set_run(first, *entry);
            return;
        }
        for gfn in first..first + count {
            let mut entry = self.get(gfn);
            change(&mut entry);
            self.set(gfn, entry);
        }
    }

    /// `false` outside RAM and the pages that were added.
    fn set(&mut self, gfn: u64, entry: Entry) -> bool {
        if self.ram.set(gfn, entry) {
            return true;
        }
        let known = self.outside.iter_mut().find(|(at, _)| *at == gfn);
        known.map(|(_, old)| *old = entry).is_some()
    }

    /// TDH.MEM.PAGE.ADD.
    pub fn add(&mut self, gfn: u64, frame: u32) {
        let entry = Entry {
            state: State::Mapped(frame),
            ..Entry::default()
        };
        if !self.set(gfn, entry) {
            self.outside.push((gfn, entry));
        }
    }

    /// TDH.MEM.PAGE.AUG of one page; false where there is a page already.
    pub fn augment(&mut self, gfn: u64, frame: u32, large: bool) -> bool {
        self.get(gfn).state == State::Free && self.set(gfn, augmented(frame, large))
    }

    /// TDH.MEM.PAGE.AUG of 2 MiB, whose frames follow each other; false where there is a page already.
    pub fn augment_block(&mut self, first: u64, frame: u32) -> bool {
        let free = self.run(first).is_some_and(|e| e.state == State::Free);
        free && self.ram.set_run(first, augmented(frame, true))
    }

    /// TDH.MEM.PAGE.REMOVE: the content is lost, and what comes after must be accepted again.
    pub fn remove(&mut self, gfn: u64) {
        self.set(gfn, Entry::default());
    }

    /// TDH.MEM.PAGE.DEMOTE of the 2 MiB page that starts at `first`.
    pub fn demote(&mut self, first: u64) {
        self.change(first, LARGE, |entry| entry.large = false);
    }

    /// Counts acceptances.
    pub(super) fn count(&mut self, pages: u64) {
        self.accepted += pages;
    }

    /// Pages that the TD accepted.
    pub fn accepted(&self) -> u64 {
        self.accepted
    }
}

fn augmented(frame: u32, large: bool) -> Entry {
    Entry {
        state: State::Pending(frame),
        large,
        l2: 0,
    }
}
