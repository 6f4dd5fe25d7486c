//! The paravisor's view of memory: the stub's tables, grown by a direct map of all RAM.
#![allow(unsafe_code)] // an address becomes memory here and nowhere else in the paravisor

use crate::stacks;
use tessera_defs::refusal::Refusal;
use tessera_handoff::handoff::Handoff;
use tessera_handoff::layout::{DIRECT_MAP, SHARED_MAP, STACK_PAGES, room};
use tessera_hw::instr;
use tessera_hw::shared::SharedPage;
use tessera_objects::tables::{Access, Mapping, PageBits, Size, TableMemory, Tables};
use zerocopy::{FromBytes, Immutable, IntoBytes};

const PAGE: u64 = 4096;

/// Tables and the pool that they grow from.
pub struct Memory {
    tables: Tables,
    pool: Pool,
}

struct Pool {
    next: u64,
    end: u64,
}

impl TableMemory for Pool {
    fn read(&self, table: u64, index: usize) -> u64 {
        // SAFETY: a table of ours in the direct map.
        unsafe {
            ((DIRECT_MAP + table) as *const u64)
                .add(index)
                .read_volatile()
        }
    }
    fn write(&mut self, table: u64, index: usize, entry: u64) {
        // SAFETY: as above.
        unsafe {
            ((DIRECT_MAP + table) as *mut u64)
                .add(index)
                .write_volatile(entry)
        }
    }
    fn allocate(&mut self) -> Option<u64> {
        let page = self.next;
        (page < self.end).then(|| {
            self.next += PAGE;
            // SAFETY: a page of the pool, inside the paravisor's own memory.
            unsafe { core::ptr::write_bytes((DIRECT_MAP + page) as *mut u8, 0, 4096) }
            page
        })
    }
}

impl Memory {
    /// Takes over the stub's tables and drops its identity map.
    pub fn new(block: &Handoff) -> Self {
        let bits = PageBits {
            private: block.private_bits,
            shared: block.shared_bits,
        };
        let root = instr::cr3() & 0x000F_FFFF_FFFF_F000 & !bits.private;
        let mut pool = Pool {
            next: block.pool_next,
            end: block.pool_end,
        };
        for index in 0..256 {
            pool.write(root, index, 0);
        }
        instr::flush_tlb();
        Self {
            tables: Tables { root, bits },
            pool,
        }
    }

    /// Maps private RAM in the direct map, by as few pages as `largest` allows.
    pub fn map(&mut self, start: u64, end: u64, largest: Size) {
        let (virt, write) = (DIRECT_MAP + start, Mapping::kernel(Access::Write));
        let Self { tables, pool } = self;
        let mapped = tables.map_largest(pool, virt, start, end - start, largest, write);
        if mapped.is_err() {
            crate::door::refuse(Refusal::MemoryTooSmall);
        }
    }

    /// Maps the stack of a processor but the first. Errors: no table is left.
    pub fn map_stack(&mut self, index: usize) -> Result<(), Refusal> {
        let bytes = STACK_PAGES * PAGE;
        let (virt, write) = (stacks::top(index) - bytes, Mapping::kernel(Access::Write));
        let done = self
            .tables
            .map_range(&mut self.pool, virt, room::of(index), bytes, write);
        done.map_err(|_| Refusal::MemoryTooSmall)
    }

    /// Takes a page out of the direct map. Errors: it is not there.
    pub fn forget(&mut self, gpa: u64) -> Result<(), Refusal> {
        let done = self.tables.unmap(&mut self.pool, DIRECT_MAP + gpa);
        instr::invlpg(DIRECT_MAP + gpa);
        done.map(|_| ()).map_err(|_| Refusal::HandoffInvalid)
    }

    /// Maps a page that is shared with the host. Errors: it is mapped already, or no table is left.
    pub fn map_shared(&mut self, gpa: u64) -> Result<(), Refusal> {
        let (virt, size) = (SHARED_MAP + gpa, Size::Small);
        let done = self
            .tables
            .map(&mut self.pool, virt, gpa, size, Mapping::SHARED);
        done.map_err(|_| Refusal::MemoryTooSmall)
    }

    /// The same, to use. Errors: likewise.
    pub fn shared_page(&mut self, gpa: u64) -> Result<SharedPage, Refusal> {
        self.map_shared(gpa)?;
        // SAFETY: it was mapped there just now, for the first time, and stays so.
        Ok(unsafe { SharedPage::new(SHARED_MAP + gpa, gpa) })
    }

    /// A value in private memory that is mapped, copied.
    pub fn read<T: FromBytes + IntoBytes>(&self, gpa: u64) -> T {
        let mut value = T::new_zeroed();
        let from = (DIRECT_MAP + gpa) as *const u8;
        for (at, byte) in value.as_mut_bytes().iter_mut().enumerate() {
            // SAFETY: callers name the image or RAM that `map` mapped; nothing else of the
            // paravisor refers to it. The lower guest may write it meanwhile on another
            // processor: each byte is fetched once.
            *byte = unsafe { from.add(at).read_volatile() };
        }
        value
    }

    /// Writes an aligned word that others watch, at once.
    pub fn write_once(&self, gpa: u64, value: u64) {
        // SAFETY: as `read`; the word is aligned.
        unsafe { ((DIRECT_MAP + gpa) as *mut u64).write_volatile(value) }
    }

    /// Clears a page of private memory that is mapped.
    pub fn clear(&self, gpa: u64) {
        let to = (DIRECT_MAP + gpa) as *mut u64;
        for at in 0..512 {
            // SAFETY: as `read`.
            unsafe { to.add(at).write_volatile(0) }
        }
    }

    /// Writes a value to private memory that is mapped.
    pub fn write<T: IntoBytes + Immutable + ?Sized>(&self, gpa: u64, value: &T) {
        let to = (DIRECT_MAP + gpa) as *mut u8;
        for (at, byte) in value.as_bytes().iter().enumerate() {
            // SAFETY: as `read`.
            unsafe { to.add(at).write_volatile(*byte) }
        }
    }
}

/// The direct map's address of a page, for PVALIDATE and RMPADJUST.
pub const fn virt(gpa: u64) -> u64 {
    DIRECT_MAP + gpa
}

/// A page of the paravisor's own that silicon reads and writes while the lower guest runs: the
/// VMSA, or the L2's registers.
pub struct OwnPage<T> {
    gpa: u64,
    holds: core::marker::PhantomData<T>,
}

impl<T: FromBytes + IntoBytes> OwnPage<T> {
    /// The page at `gpa`.
    ///
    /// # Safety
    /// The page is the paravisor's own, in the direct map, and nothing else's.
    pub const unsafe fn new(gpa: u64) -> Self {
        assert!(gpa.is_multiple_of(PAGE) && size_of::<T>() <= PAGE as usize);
        let holds = core::marker::PhantomData;
        Self { gpa, holds }
    }

    /// Guest physical address.
    pub const fn gpa(&self) -> u64 {
        self.gpa
    }

    /// What stands there, while the lower guest does not run.
    pub fn get(&self) -> &T {
        // SAFETY: the promise of `new`; any bytes are a `T`, and page alignment is enough for
        // it. The reference ends before the lower guest runs, which needs `&mut self`'s owner.
        unsafe { &*(virt(self.gpa) as *const T) }
    }

    /// The same, to change.
    pub fn get_mut(&mut self) -> &mut T {
        // SAFETY: as `get`.
        unsafe { &mut *(virt(self.gpa) as *mut T) }
    }
}
