//! A process: handle table, mappings, quota. Its page tables are the kernel's business.

use super::handles::Handles;

/// Processes at most.
pub const SPACES: usize = 64;
/// Mappings of regions in one process at most.
pub const MAPPINGS: usize = 24;

/// What a process is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Life {
    /// No process.
    Free,
    /// It runs.
    Alive,
    /// It ended, with this `STATUS`; all that it had is reclaimed. The slot stays until the
    /// last handle to it is closed.
    Dead(u64),
}

/// A region in a process.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Mapping {
    /// Its first address; 0 marks a free slot (page 0 is never mapped).
    pub address: u64,
    /// Pages.
    pub pages: u64,
    /// Which region.
    pub region: u8,
}

/// One process.
#[derive(Clone, Copy, Debug)]
pub struct Space {
    /// Its handles.
    pub handles: Handles,
    /// What is mapped.
    pub mappings: [Mapping; MAPPINGS],
    /// Root of its page tables, for the kernel.
    pub tables: u64,
    /// Its name, for people: ASCII, zero padded.
    pub name: [u8; 16],
    /// Pages that are charged to it.
    pub pages: u64,
    /// Pages that may be.
    pub quota: u64,
    /// Bits of `watcher` that tell its end.
    pub(super) watch_bits: u64,
    /// Changes when the slot is used again.
    pub(super) generation: u32,
    /// Generation of `watcher`.
    pub(super) watch_generation: u32,
    /// Its threads.
    pub threads: u16,
    /// Handles to it.
    pub(super) refs: u16,
    /// Notification that is told its end; 0 for none.
    pub(super) watcher: u8,
    /// The process whose quota its own was taken from.
    pub(super) parent: u8,
    /// Generation of `parent`.
    pub(super) parent_generation: u32,
    /// Lives, and the last handle to it was closed.
    pub(super) orphan: bool,
    /// Whether it lives.
    pub life: Life,
}

impl Space {
    pub(super) const EMPTY: Self = Self {
        handles: Handles::EMPTY,
        mappings: [Mapping {
            address: 0,
            pages: 0,
            region: 0,
        }; MAPPINGS],
        tables: 0,
        name: [0; 16],
        pages: 0,
        quota: 0,
        watch_bits: 0,
        generation: 0,
        watch_generation: 0,
        threads: 0,
        refs: 0,
        watcher: 0,
        parent: 0,
        parent_generation: 0,
        orphan: false,
        life: Life::Free,
    };

    /// Takes pages from the quota; false if there are not so many left.
    pub(super) fn charge(&mut self, pages: u64) -> bool {
        let sum = self.pages.checked_add(pages);
        match sum.filter(|sum| *sum <= self.quota) {
            Some(sum) => {
                self.pages = sum;
                true
            }
            None => false,
        }
    }

    /// Gives pages back.
    pub(super) fn refund(&mut self, pages: u64) {
        self.pages = self.pages.saturating_sub(pages);
    }
}
