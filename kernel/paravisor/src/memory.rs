//! VMPL 0's view of memory: the stub's tables, grown by a direct map of all RAM.
#![allow(unsafe_code)] // an address becomes memory here and nowhere else in the paravisor

use tessera_defs::refusal::Refusal;
use tessera_handoff::handoff::Handoff;
use tessera_handoff::layout::DIRECT_MAP;
use tessera_hw::instr;
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

    /// Maps private RAM in the direct map, by 2 MiB pages where it is aligned.
    pub fn map(&mut self, start: u64, end: u64) {
        let write = Mapping::kernel(Access::Write);
        let mut at = start;
        while at < end {
            let large = at.is_multiple_of(Size::Large.bytes()) && end - at >= Size::Large.bytes();
            let size = if large { Size::Large } else { Size::Small };
            let mapped = self
                .tables
                .map(&mut self.pool, DIRECT_MAP + at, at, size, write);
            if mapped.is_err() {
                crate::door::refuse(Refusal::MemoryTooSmall);
            }
            at += size.bytes();
        }
    }

    /// A value in private memory that is mapped, copied.
    pub fn read<T: FromBytes + Immutable>(&self, gpa: u64) -> T {
        let from = (DIRECT_MAP + gpa) as *const u8;
        // SAFETY: callers name the image or RAM that `map` mapped; nothing else of VMPL 0
        // refers to it, and the lower guest does not run meanwhile.
        let bytes = unsafe { core::slice::from_raw_parts(from, size_of::<T>()) };
        T::read_from_bytes(bytes).expect("the length is the type's")
    }

    /// Writes a value to private memory that is mapped.
    pub fn write<T: IntoBytes + Immutable + ?Sized>(&self, gpa: u64, value: &T) {
        let bytes = value.as_bytes();
        // SAFETY: as `read`.
        unsafe {
            let to = (DIRECT_MAP + gpa) as *mut u8;
            core::ptr::copy_nonoverlapping(bytes.as_ptr(), to, bytes.len());
        }
    }
}

/// The direct map's address of a page, for PVALIDATE and RMPADJUST.
pub const fn virt(gpa: u64) -> u64 {
    DIRECT_MAP + gpa
}

/// The lower VMSA as memory, while the lower context does not run.
pub fn vmsa() -> &'static mut tessera_defs::snp::vmsa::Vmsa {
    let at = (DIRECT_MAP + crate::vmsa::LOWER_VMSA) as *mut tessera_defs::snp::vmsa::Vmsa;
    // SAFETY: the paravisor's own page; the run loop makes one reference at a time and holds
    // none across a run of VMPL 2.
    unsafe { &mut *at }
}

/// Writes the first VMSA.
pub fn place_vmsa(gpa: u64, area: &tessera_defs::snp::vmsa::Vmsa) {
    assert!(gpa == crate::vmsa::LOWER_VMSA);
    *vmsa() = *area;
}
