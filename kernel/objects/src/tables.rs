//! Four-level x86-64 page tables over memory that somebody else can read and write.
//!
//! Isolation is data here: `PageBits` says which bits a private and a shared page carry, so the
//! same code serves C-bit, shared bit, vTOM and none. Source of the entry format: APM vol. 2, 5.3.

mod ranges;

/// Entry bit: present.
pub const PRESENT: u64 = 1 << 0;
/// Entry bit: writable.
pub const WRITABLE: u64 = 1 << 1;
/// Entry bit: user.
pub const USER: u64 = 1 << 2;
/// Entry bit: accessed.
pub const ACCESSED: u64 = 1 << 5;
/// Entry bit: dirty.
pub const DIRTY: u64 = 1 << 6;
/// Entry bit: large page.
pub const LARGE: u64 = 1 << 7;
/// Entry bit: no execute.
pub const NO_EXECUTE: u64 = 1 << 63;

/// Physical address bits of an entry, before the isolation bits are taken away.
const ADDRESS: u64 = 0x000F_FFFF_FFFF_F000;
const ENTRIES: u64 = 512;

/// What a page may be used for. Writable and executable at once cannot be said.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Access {
    /// Read only.
    Read,
    /// Read and write.
    Write,
    /// Read and execute.
    Execute,
}

/// The bits that tell private from shared pages.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct PageBits {
    /// Set in entries of private pages and of tables.
    pub private: u64,
    /// Set in entries of shared pages.
    pub shared: u64,
}

/// Whose a page is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Visibility {
    /// The guest's alone.
    Private,
    /// The host may read and write it.
    Shared,
}

/// How a page is mapped.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Mapping {
    /// What it may be used for.
    pub access: Access,
    /// Whether ring 3 may.
    pub user: bool,
    /// Whose it is.
    pub visibility: Visibility,
}

impl Mapping {
    /// A private supervisor page.
    pub const fn kernel(access: Access) -> Self {
        Self {
            access,
            user: false,
            visibility: Visibility::Private,
        }
    }
    /// A private user page.
    pub const fn user(access: Access) -> Self {
        Self {
            access,
            user: true,
            visibility: Visibility::Private,
        }
    }
    /// A shared user page, which nobody executes.
    pub const fn user_shared(access: Access) -> Self {
        Self {
            access: match access {
                Access::Write => Access::Write,
                _ => Access::Read,
            },
            user: true,
            visibility: Visibility::Shared,
        }
    }
    /// A shared supervisor page, read and write.
    pub const SHARED: Self = Self {
        access: Access::Write,
        user: false,
        visibility: Visibility::Shared,
    };
}

/// Memory that holds page tables. Addresses are guest physical, tables are 4 KiB.
pub trait TableMemory {
    /// Entry `index` (0..512) of `table`.
    fn read(&self, table: u64, index: usize) -> u64;
    /// Writes entry `index` of `table`.
    fn write(&mut self, table: u64, index: usize, entry: u64);
    /// A zeroed table, or `None` when there are no more.
    fn allocate(&mut self) -> Option<u64>;
}

/// Why a mapping was not changed. The caller is at fault unless memory ran out.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Error {
    /// No frame for a table.
    OutOfTables,
    /// Something is mapped there already.
    AlreadyMapped,
    /// Nothing is mapped there.
    NotMapped,
    /// The address is not aligned to the page.
    Misaligned,
}

/// Page size of a mapping.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Size {
    /// 4 KiB.
    Small,
    /// 2 MiB.
    Large,
    /// 1 GiB, where CPUID has Page1GB (APM vol. 3, Fn8000_0001_EDX bit 26).
    Huge,
}

impl Size {
    /// Bytes of such a page.
    pub const fn bytes(self) -> u64 {
        match self {
            Size::Small => 4096,
            Size::Large => 2 << 20,
            Size::Huge => 1 << 30,
        }
    }
    const fn leaf_level(self) -> u32 {
        match self {
            Size::Small => 0,
            Size::Large => 1,
            Size::Huge => 2,
        }
    }
}

/// One address space: its root table and its isolation bits.
#[derive(Clone, Copy, Debug)]
pub struct Tables {
    /// Guest physical address of the level-4 table, without isolation bits.
    pub root: u64,
    /// Isolation bits.
    pub bits: PageBits,
}

impl Tables {
    /// An empty address space. Errors: `OutOfTables`.
    pub fn new(memory: &mut impl TableMemory, bits: PageBits) -> Result<Self, Error> {
        Ok(Self {
            root: memory.allocate().ok_or(Error::OutOfTables)?,
            bits,
        })
    }

    /// Value for CR3: the root with the private bits.
    pub const fn cr3(&self) -> u64 {
        self.root | self.bits.private
    }

    /// Makes the level-3 table of `virt`, so that copies of the root made later share it.
    /// Errors: `OutOfTables`.
    pub fn prepare(&self, memory: &mut impl TableMemory, virt: u64) -> Result<(), Error> {
        self.walk(memory, virt, 2, true).map(|_| ())
    }

    /// Calls `free` for every table below the root that serves addresses of the lower half, the
    /// deepest ones first, and forgets them. Pages that are mapped there are not touched.
    pub fn free_lower<M: TableMemory>(&self, memory: &mut M, mut free: impl FnMut(&mut M, u64)) {
        self.free_below(memory, self.root, 3, 0..256, &mut free);
    }

    fn free_below<M: TableMemory>(
        &self,
        memory: &mut M,
        table: u64,
        level: u32,
        entries: core::ops::Range<usize>,
        free: &mut impl FnMut(&mut M, u64),
    ) {
        for index in entries {
            let entry = memory.read(table, index);
            if level == 0 || entry & PRESENT == 0 || entry & LARGE != 0 {
                continue;
            }
            let next = self.address(entry);
            self.free_below(memory, next, level - 1, 0..512, free);
            memory.write(table, index, 0);
            free(memory, next);
        }
    }

    /// Maps one page. Errors: `Misaligned`, `AlreadyMapped`, `OutOfTables`.
    pub fn map(
        &self,
        memory: &mut impl TableMemory,
        virt: u64,
        phys: u64,
        size: Size,
        mapping: Mapping,
    ) -> Result<(), Error> {
        if !(virt | phys).is_multiple_of(size.bytes()) {
            return Err(Error::Misaligned);
        }
        let table = self.walk(memory, virt, size.leaf_level(), true)?;
        let index = index(virt, size.leaf_level());
        if memory.read(table, index) & PRESENT != 0 {
            return Err(Error::AlreadyMapped);
        }
        memory.write(table, index, self.leaf(phys, size, mapping));
        Ok(())
    }

    /// Maps `len` bytes from `virt` to `phys` by small pages. Errors: as `map`.
    pub fn map_range(
        &self,
        memory: &mut impl TableMemory,
        virt: u64,
        phys: u64,
        len: u64,
        mapping: Mapping,
    ) -> Result<(), Error> {
        for offset in (0..len).step_by(4096) {
            self.map(memory, virt + offset, phys + offset, Size::Small, mapping)?;
        }
        Ok(())
    }

    /// Maps `len` bytes from `virt` to `phys` by as few pages, none above `largest`, as the addresses
    /// allow. Errors: as `map`.
    #[inline(always)]
    pub fn map_largest(
        &self,
        memory: &mut impl TableMemory,
        virt: u64,
        phys: u64,
        len: u64,
        largest: Size,
        mapping: Mapping,
    ) -> Result<(), Error> {
        let mut at = 0;
        while at < len {
            let fits = |size: Size| {
                let aligned = ((virt + at) | (phys + at)).is_multiple_of(size.bytes());
                aligned && len - at >= size.bytes()
            };
            let size = match largest {
                Size::Huge if fits(Size::Huge) => Size::Huge,
                Size::Huge | Size::Large if fits(Size::Large) => Size::Large,
                _ => Size::Small,
            };
            self.map(memory, virt + at, phys + at, size, mapping)?;
            at += size.bytes();
        }
        Ok(())
    }

    /// Where `virt` is in a page of 2 MiB, maps the same by small ones. Who takes one of them away makes all
    /// processors forget it. Errors: `OutOfTables`.
    pub fn split(&self, memory: &mut impl TableMemory, virt: u64) -> Result<(), Error> {
        let Some(above) = self.table(memory, virt, 1) else {
            return Ok(());
        };
        let entry = memory.read(above, index(virt, 1));
        if entry & (PRESENT | LARGE) != PRESENT | LARGE {
            return Ok(());
        }
        let table = memory.allocate().ok_or(Error::OutOfTables)?;
        for small in 0..ENTRIES {
            memory.write(table, small as usize, (entry & !LARGE) + small * 4096);
        }
        memory.write(above, index(virt, 1), self.link(table));
        Ok(())
    }

    /// Takes a small page away and returns its physical address. Errors: `NotMapped`;
    /// `AlreadyMapped` in a large page.
    pub fn unmap(&self, memory: &mut impl TableMemory, virt: u64) -> Result<u64, Error> {
        let table = self.walk(memory, virt, 0, false)?;
        let entry = memory.read(table, index(virt, 0));
        if entry & PRESENT == 0 {
            return Err(Error::NotMapped);
        }
        memory.write(table, index(virt, 0), 0);
        Ok(self.address(entry))
    }

    /// The table of `level` that serves `virt`.
    fn table(&self, memory: &impl TableMemory, virt: u64, level: u32) -> Option<u64> {
        let mut table = self.root;
        for level in (level + 1..4).rev() {
            let entry = memory.read(table, index(virt, level));
            if entry & PRESENT == 0 || entry & LARGE != 0 {
                return None;
            }
            table = self.address(entry);
        }
        Some(table)
    }

    /// The last table on the way to `virt`.
    #[inline(always)]
    fn last(&self, memory: &impl TableMemory, virt: u64) -> Option<u64> {
        let table = self.below(memory, self.root, index(virt, 3))?;
        let table = self.below(memory, table, index(virt, 2))?;
        self.below(memory, table, index(virt, 1))
    }

    #[inline(always)]
    fn below(&self, memory: &impl TableMemory, table: u64, index: usize) -> Option<u64> {
        let entry = memory.read(table, index);
        (entry & (PRESENT | LARGE) == PRESENT).then(|| self.address(entry))
    }

    /// Takes a small page away; whether it was there.
    #[inline(always)]
    pub fn take(&self, memory: &mut impl TableMemory, virt: u64) -> bool {
        let Some(table) = self.last(memory, virt) else {
            return false;
        };
        let there = memory.read(table, index(virt, 0)) & PRESENT != 0;
        memory.write(table, index(virt, 0), 0);
        there
    }

    /// Puts a page where nothing, or the same page with less access, is mapped; its table is there.
    /// Whether something was mapped before, which processors may remember. Errors: `NotMapped`
    /// without a table.
    #[inline(always)]
    pub fn set(
        &self,
        memory: &mut impl TableMemory,
        virt: u64,
        phys: u64,
        mapping: Mapping,
    ) -> Result<bool, Error> {
        let table = self.last(memory, virt).ok_or(Error::NotMapped)?;
        let index = index(virt, 0);
        let before = memory.read(table, index);
        memory.write(table, index, self.leaf(phys, Size::Small, mapping));
        Ok(before & PRESENT != 0)
    }

    /// Where `virt` leads: physical address and entry flags, or `None`.
    pub fn translate(&self, memory: &impl TableMemory, virt: u64) -> Option<(u64, u64)> {
        let mut table = self.root;
        for level in (0..4).rev() {
            let entry = memory.read(table, index(virt, level));
            if entry & PRESENT == 0 {
                return None;
            }
            if level == 0 || entry & LARGE != 0 {
                let offset = virt & ((4096 << (9 * level)) - 1);
                return Some((self.address(entry) + offset, entry & !ADDRESS));
            }
            table = self.address(entry);
        }
        None
    }

    fn walk(
        &self,
        memory: &mut impl TableMemory,
        virt: u64,
        leaf: u32,
        create: bool,
    ) -> Result<u64, Error> {
        let mut table = self.root;
        for level in (leaf + 1..4).rev() {
            let index = index(virt, level);
            let entry = memory.read(table, index);
            if entry & PRESENT != 0 {
                if entry & LARGE != 0 {
                    return Err(Error::AlreadyMapped);
                }
                table = self.address(entry);
            } else if create {
                let next = memory.allocate().ok_or(Error::OutOfTables)?;
                memory.write(table, index, self.link(next));
                table = next;
            } else {
                return Err(Error::NotMapped);
            }
        }
        Ok(table)
    }

    /// The entry of a table.
    const fn link(&self, table: u64) -> u64 {
        table | PRESENT | WRITABLE | USER | ACCESSED | self.bits.private
    }

    fn leaf(&self, phys: u64, size: Size, mapping: Mapping) -> u64 {
        let access = match mapping.access {
            Access::Read => NO_EXECUTE,
            Access::Write => WRITABLE | NO_EXECUTE | DIRTY,
            Access::Execute => 0,
        };
        let visibility = match mapping.visibility {
            Visibility::Private => self.bits.private,
            Visibility::Shared => self.bits.shared,
        };
        let user = if mapping.user { USER } else { 0 };
        let large = if size == Size::Small { 0 } else { LARGE };
        phys | PRESENT | ACCESSED | access | visibility | user | large
    }

    fn address(&self, entry: u64) -> u64 {
        entry & ADDRESS & !(self.bits.private | self.bits.shared)
    }
}

const fn index(virt: u64, level: u32) -> usize {
    ((virt >> (12 + 9 * level)) % ENTRIES) as usize
}

#[cfg(test)]
mod tests;
