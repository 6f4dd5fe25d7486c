//! The secure EPT: which frame stands behind a private page, and whether the TD accepted it.
//! The host adds, augments and removes pages by SEAMCALL; it never edits an entry.
//! Source: 348549, "Secure EPT entry states".

use alloc::{vec, vec::Vec};

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

/// The table.
#[derive(Clone, Debug)]
pub struct Sept {
    ram: Vec<Entry>,
    outside: Vec<(u64, Entry)>,
    accepted: u64,
}

impl Sept {
    /// An empty table for `pages` pages of RAM.
    pub fn new(pages: u64) -> Self {
        let ram = vec![Entry::default(); pages as usize];
        Self {
            ram,
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
        self.ram
            .get(gfn as usize)
            .copied()
            .or_else(outside)
            .unwrap_or_default()
    }

    /// The frame of an accepted page.
    pub fn mapped(&self, gfn: u64) -> Option<u32> {
        match self.get(gfn).state {
            State::Mapped(frame) => Some(frame),
            _ => None,
        }
    }

    /// The entry, to change; none outside RAM and the pages that were added.
    pub(super) fn entry(&mut self, gfn: u64) -> Option<&mut Entry> {
        match self.ram.get_mut(gfn as usize) {
            Some(entry) => Some(entry),
            None => self
                .outside
                .iter_mut()
                .find(|(at, _)| *at == gfn)
                .map(|(_, entry)| entry),
        }
    }

    /// TDH.MEM.PAGE.ADD.
    pub fn add(&mut self, gfn: u64, frame: u32) {
        if self.entry(gfn).is_none() {
            self.outside.push((gfn, Entry::default()));
        }
        if let Some(entry) = self.entry(gfn) {
            *entry = Entry {
                state: State::Mapped(frame),
                ..Entry::default()
            };
        }
    }

    /// TDH.MEM.PAGE.AUG of one page; false where there is a page already.
    pub fn augment(&mut self, gfn: u64, frame: u32, large: bool) -> bool {
        match self.entry(gfn) {
            Some(entry) if entry.state == State::Free => {
                *entry = Entry {
                    state: State::Pending(frame),
                    large,
                    l2: 0,
                };
                true
            }
            _ => false,
        }
    }

    /// TDH.MEM.PAGE.REMOVE: the content is lost, and what comes after must be accepted again.
    pub fn remove(&mut self, gfn: u64) {
        if let Some(entry) = self.entry(gfn) {
            *entry = Entry::default();
        }
    }

    /// TDH.MEM.PAGE.DEMOTE of the 2 MiB page that starts at `first`.
    pub fn demote(&mut self, first: u64) {
        for gfn in first..first + super::accept::LARGE {
            if let Some(entry) = self.entry(gfn) {
                entry.large = false;
            }
        }
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
