//! A process: handle table, mappings, quota. Its page tables are the kernel's business.

use super::handles::Handles;
use tessera_defs::x86::PAGE_SIZE;

/// Processes at most.
pub const SPACES: usize = 64;
/// Mappings of regions in one process at most.
pub const MAPPINGS: usize = 32;

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

/// What a mapping lets a process do.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Use {
    /// Nothing: a guard. Nobody maps anything there, and a touch ends the process.
    Guard,
    /// Pages that the kernel mapped at the start of the first process, for good.
    Fixed,
    /// Read.
    Read,
    /// Read and write.
    Write,
    /// Read and execute.
    Execute,
}

/// A region, or none, in a process.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Mapping {
    /// Its first address; 0 marks a free slot (page 0 is never mapped).
    pub address: u64,
    /// Pages.
    pub pages: u32,
    /// Which region; 0 for none.
    pub region: u8,
    /// What for.
    pub access: Use,
}

impl Mapping {
    pub(super) const FREE: Self = Self {
        address: 0,
        pages: 0,
        region: 0,
        access: Use::Guard,
    };

    /// Whether any of `address..address + len` is in it.
    pub fn touches(&self, address: u64, len: u64) -> bool {
        self.address != 0 && address < self.address + self.len() && self.address < address + len
    }

    /// Bytes.
    #[inline(always)]
    pub fn len(&self) -> u64 {
        u64::from(self.pages) * PAGE_SIZE
    }

    /// Whether it is none.
    pub fn is_empty(&self) -> bool {
        self.address == 0
    }
}

/// One process.
#[derive(Clone, Copy, Debug)]
pub struct Space {
    /// Its handles.
    pub handles: Handles,
    /// What is mapped.
    pub mappings: [Mapping; MAPPINGS],
    /// Which of them was touched last.
    pub(super) last: u8,
    /// Root of its page tables, for the kernel.
    pub tables: u64,
    /// Its name, for people: ASCII, zero padded.
    pub name: [u8; 16],
    /// Pages that are charged to it.
    pub pages: u64,
    /// Those of them that are tables and lists: of its addresses, and of regions it pays for.
    pub overhead: u64,
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
    /// Its mappings, the one that was touched last first.
    #[inline(always)]
    pub fn mappings(&self) -> impl Iterator<Item = &Mapping> {
        let last = usize::from(self.last) % MAPPINGS;
        core::iter::once(&self.mappings[last]).chain(
            (0..MAPPINGS)
                .filter(move |slot| *slot != last)
                .map(|slot| &self.mappings[slot]),
        )
    }

    pub(super) const EMPTY: Self = Self {
        handles: Handles::EMPTY,
        mappings: [Mapping::FREE; MAPPINGS],
        last: 0,
        tables: 0,
        name: [0; 16],
        pages: 0,
        overhead: 0,
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

    /// Takes pages for page tables from the quota; false if there are not so many left.
    pub fn charge_tables(&mut self, pages: u64) -> bool {
        let charged = self.charge(pages);
        self.overhead += if charged { pages } else { 0 };
        charged
    }

    /// Gives pages of page tables back.
    pub fn refund_tables(&mut self, pages: u64) {
        self.refund(pages);
        self.overhead = self.overhead.saturating_sub(pages);
    }

    /// Gives pages back.
    pub(super) fn refund(&mut self, pages: u64) {
        self.pages = self.pages.saturating_sub(pages);
    }
}

const _: () = assert!(size_of::<Mapping>() == 16);
