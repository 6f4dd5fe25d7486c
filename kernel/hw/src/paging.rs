//! Four-level page tables, reached through a direct map. Which address bits mean "private" or
//! "shared" is data. Source: APM vol. 2, 5.3.
#![allow(unsafe_code)] // reason: page-table pages are memory that Rust does not own

use tessera_defs::x86::{LARGE_PAGE_SIZE, PAGE_SIZE};
use x86_64::structures::paging::PageTableFlags as Flags;

/// Bits 51:12 of an entry.
const ADDRESS: u64 = 0x000F_FFFF_FFFF_F000;

/// Address bits by which an entry says who may see the page.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct EncodingBits {
    /// Set in entries of private pages and of tables (the C-bit, or 0).
    pub private: u64,
    /// Set in entries of shared pages (shared bit, vTOM bit, or 0).
    pub shared: u64,
}

/// Who may see a page.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[allow(missing_docs)]
pub enum Visibility {
    Private,
    Shared,
}

/// Size of a mapping.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Size {
    /// 4 KiB.
    Small,
    /// 2 MiB.
    Large,
}

impl Size {
    /// Bytes.
    pub const fn bytes(self) -> u64 {
        match self {
            Size::Small => PAGE_SIZE,
            Size::Large => LARGE_PAGE_SIZE,
        }
    }
}

/// A mapping that was found.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Mapping {
    /// Guest physical address of the page's first byte, without encoding bits.
    pub phys: u64,
    /// Size.
    pub size: Size,
    /// Flags of the last entry, without HUGE_PAGE.
    pub flags: Flags,
    /// The raw entry.
    pub entry: u64,
}

/// Why tables could not be changed. The caller is at fault.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Error {
    /// Address not aligned to the size, not canonical, or with encoding bits in it.
    BadAddress(u64),
    /// Something is mapped there already.
    Occupied(u64),
    /// Nothing is mapped there.
    NotMapped(u64),
    /// A 2 MiB mapping stands where tables are needed.
    LargeInTheWay(u64),
    /// Writable and executable at once.
    WriteExecute(u64),
    /// No frame left for a table.
    OutOfFrames,
}

/// Gives frames for tables.
pub trait FrameSource {
    /// Guest physical address of a private, accepted, zeroed page; it is given away.
    fn table_frame(&mut self) -> Option<u64>;
}

/// One address space.
#[derive(Debug)]
pub struct PageTables {
    root: u64,
    direct_map: u64,
    bits: EncodingBits,
}

impl PageTables {
    /// The tables with the PML4 at `root` (guest physical, no encoding bits).
    ///
    /// # Safety
    /// `direct_map + phys` is mapped writable for every table page and every frame that a
    /// `FrameSource` will give; those pages are used by nothing else.
    pub unsafe fn new(root: u64, direct_map: u64, bits: EncodingBits) -> Self {
        Self {
            root,
            direct_map,
            bits,
        }
    }

    /// Value for CR3.
    pub fn cr3(&self) -> u64 {
        self.root | self.bits.private
    }

    /// The encoding bits.
    pub fn bits(&self) -> EncodingBits {
        self.bits
    }

    /// Maps one page. PRESENT and ACCESSED are added; DIRTY where writable. Refuses W with X.
    ///
    /// # Safety
    /// No live object is reached by `virt` now; the frame may be reached by the new mapping
    /// under Rust's aliasing rules.
    pub unsafe fn map(
        &mut self,
        virt: u64,
        phys: u64,
        size: Size,
        visibility: Visibility,
        flags: Flags,
        frames: &mut impl FrameSource,
    ) -> Result<(), Error> {
        self.check(virt, phys, size)?;
        let entry = self.leaf(virt, phys, size, visibility, flags)?;
        let slot = self.walk_or_build(virt, size, frames)?;
        if self.read(slot) != 0 {
            return Err(Error::Occupied(virt));
        }
        self.write(slot, entry);
        Ok(())
    }

    /// Maps the first GiB-scale range: `len` bytes from `virt` to `phys`, by 2 MiB pages
    /// where alignment allows. Stops at the first error.
    ///
    /// # Safety
    /// As `map`, for every page.
    #[allow(clippy::too_many_arguments)]
    pub unsafe fn map_range(
        &mut self,
        virt: u64,
        phys: u64,
        len: u64,
        visibility: Visibility,
        flags: Flags,
        frames: &mut impl FrameSource,
    ) -> Result<(), Error> {
        let mut done = 0;
        while done < len {
            let large = (virt + done) % LARGE_PAGE_SIZE == 0
                && (phys + done) % LARGE_PAGE_SIZE == 0
                && len - done >= LARGE_PAGE_SIZE;
            let size = if large { Size::Large } else { Size::Small };
            // SAFETY: the caller's promise for every page.
            unsafe { self.map(virt + done, phys + done, size, visibility, flags, frames)? };
            done += size.bytes();
        }
        Ok(())
    }

    /// Removes the mapping of `virt` and flushes it on this processor; says what it was.
    ///
    /// # Safety
    /// No live object is reached by the mapping.
    pub unsafe fn unmap(&mut self, virt: u64) -> Result<Mapping, Error> {
        let (slot, size) = self.walk(virt)?;
        let old = self.mapping(self.read(slot), size);
        self.write(slot, 0);
        flush(virt);
        Ok(old)
    }

    /// Gives an existing mapping new flags and visibility, and flushes it on this processor.
    ///
    /// # Safety
    /// Live references through the mapping stay valid under the new flags and visibility.
    pub unsafe fn protect(
        &mut self,
        virt: u64,
        visibility: Visibility,
        flags: Flags,
    ) -> Result<Mapping, Error> {
        let (slot, size) = self.walk(virt)?;
        let old = self.mapping(self.read(slot), size);
        let entry = self.leaf(virt, old.phys, size, visibility, flags)?;
        self.write(slot, entry);
        flush(virt);
        Ok(old)
    }

    /// The mapping of `virt`.
    pub fn lookup(&self, virt: u64) -> Option<Mapping> {
        let (slot, size) = self.walk(virt).ok()?;
        Some(self.mapping(self.read(slot), size))
    }

    fn mapping(&self, entry: u64, size: Size) -> Mapping {
        let flags = Flags::from_bits_truncate(entry & !ADDRESS) - Flags::HUGE_PAGE;
        Mapping {
            phys: self.phys_of(entry) & !(size.bytes() - 1),
            size,
            flags,
            entry,
        }
    }

    fn phys_of(&self, entry: u64) -> u64 {
        entry & ADDRESS & !(self.bits.private | self.bits.shared)
    }

    fn check(&self, virt: u64, phys: u64, size: Size) -> Result<(), Error> {
        if virt % size.bytes() != 0 || (virt as i64) << 16 >> 16 != virt as i64 {
            return Err(Error::BadAddress(virt));
        }
        if phys % size.bytes() != 0 || phys != self.phys_of(phys) {
            return Err(Error::BadAddress(phys));
        }
        Ok(())
    }

    fn leaf(
        &self,
        virt: u64,
        phys: u64,
        size: Size,
        visibility: Visibility,
        flags: Flags,
    ) -> Result<u64, Error> {
        let writable = flags.contains(Flags::WRITABLE);
        if writable && !flags.contains(Flags::NO_EXECUTE) {
            return Err(Error::WriteExecute(virt));
        }
        let mut all = (flags | Flags::PRESENT | Flags::ACCESSED) - Flags::HUGE_PAGE;
        all.set(Flags::DIRTY, writable);
        all.set(Flags::HUGE_PAGE, size == Size::Large);
        let encoding = match visibility {
            Visibility::Private => self.bits.private,
            Visibility::Shared => self.bits.shared,
        };
        Ok(phys | encoding | all.bits())
    }

    /// Entry of the last level that maps `virt` now, and its size.
    fn walk(&self, virt: u64) -> Result<(u64, Size), Error> {
        let mut table = self.root;
        for level in [3, 2, 1] {
            let slot = slot(table, virt, level);
            let entry = self.read(slot);
            if entry & Flags::PRESENT.bits() == 0 {
                return Err(Error::NotMapped(virt));
            }
            if entry & Flags::HUGE_PAGE.bits() != 0 {
                return if level == 1 {
                    Ok((slot, Size::Large))
                } else {
                    Err(Error::NotMapped(virt))
                };
            }
            table = self.phys_of(entry);
        }
        let slot = slot(table, virt, 0);
        let present = self.read(slot) & Flags::PRESENT.bits() != 0;
        if present {
            Ok((slot, Size::Small))
        } else {
            Err(Error::NotMapped(virt))
        }
    }

    /// Entry where a mapping of `size` belongs; missing tables are made.
    fn walk_or_build(
        &mut self,
        virt: u64,
        size: Size,
        frames: &mut impl FrameSource,
    ) -> Result<u64, Error> {
        let mut table = self.root;
        let last = if size == Size::Large { 1 } else { 0 };
        for level in (last + 1..4).rev() {
            let at = slot(table, virt, level);
            let mut entry = self.read(at);
            if entry & Flags::PRESENT.bits() == 0 {
                entry = self.table_entry(frames.table_frame().ok_or(Error::OutOfFrames)?);
                self.write(at, entry);
            } else if entry & Flags::HUGE_PAGE.bits() != 0 {
                return Err(Error::LargeInTheWay(virt));
            }
            table = self.phys_of(entry);
        }
        Ok(slot(table, virt, last))
    }

    /// Entries of tables allow everything; the last entry decides.
    fn table_entry(&self, frame: u64) -> u64 {
        let flags = Flags::PRESENT | Flags::WRITABLE | Flags::USER_ACCESSIBLE | Flags::ACCESSED;
        frame | self.bits.private | flags.bits()
    }

    fn read(&self, slot: u64) -> u64 {
        // SAFETY: `slot` lies in a table page, which the direct map maps (promise of `new`).
        unsafe { ((self.direct_map.wrapping_add(slot)) as *const u64).read_volatile() }
    }

    fn write(&mut self, slot: u64, entry: u64) {
        // SAFETY: as in `read`; the table page is nothing else's.
        unsafe { ((self.direct_map.wrapping_add(slot)) as *mut u64).write_volatile(entry) }
    }
}

/// Guest physical address of the entry for `virt` in the table of `level` (3 = PML4).
fn slot(table: u64, virt: u64, level: u32) -> u64 {
    table + (virt >> (12 + 9 * level) & 0x1FF) * 8
}

/// Forgets a translation; user-mode tests have none to forget.
fn flush(virt: u64) {
    if cfg!(target_os = "none") {
        crate::instr::invlpg(virt);
    }
}
