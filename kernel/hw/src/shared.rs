//! A page that the host may read and write at any time.
#![allow(unsafe_code)] // reason: volatile access to memory that Rust must not own

use tessera_defs::x86::PAGE_SIZE;

/// One mapped page of shared memory. No reference into it is ever made: every access is one
/// volatile access of a `u8` or an aligned `u64`, so each value is fetched exactly once.
#[derive(Debug)]
pub struct SharedPage {
    virt: u64,
    gpa: u64,
}

impl SharedPage {
    /// The page at `virt`, whose guest physical address is `gpa` (without the shared bit).
    ///
    /// # Safety
    /// `virt` is page aligned and mapped writable for as long as the value lives, to memory
    /// that is nothing else's: no Rust object stands in it.
    pub unsafe fn new(virt: u64, gpa: u64) -> Self {
        assert!(virt.is_multiple_of(PAGE_SIZE) && gpa.is_multiple_of(PAGE_SIZE));
        Self { virt, gpa }
    }

    /// Guest physical address, without the shared bit.
    pub fn gpa(&self) -> u64 {
        self.gpa
    }

    /// Virtual address of the mapping.
    pub fn virt(&self) -> u64 {
        self.virt
    }

    /// The byte at `offset`. Panics outside the page.
    pub fn read_u8(&self, offset: usize) -> u8 {
        // SAFETY: `at` keeps it in the page, which is mapped by the promise of `new`.
        unsafe { (self.at(offset, 1) as *const u8).read_volatile() }
    }

    /// Writes the byte at `offset`. Panics outside the page.
    pub fn write_u8(&mut self, offset: usize, value: u8) {
        // SAFETY: as in `read_u8`.
        unsafe { (self.at(offset, 1) as *mut u8).write_volatile(value) }
    }

    /// The little-endian u64 at `offset`, a multiple of 8. Panics otherwise.
    pub fn read_u64(&self, offset: usize) -> u64 {
        // SAFETY: as in `read_u8`; `at` checks the alignment.
        unsafe { (self.at(offset, 8) as *const u64).read_volatile() }
    }

    /// Writes the u64 at `offset`, a multiple of 8. Panics otherwise.
    pub fn write_u64(&mut self, offset: usize, value: u64) {
        // SAFETY: as in `read_u64`.
        unsafe { (self.at(offset, 8) as *mut u64).write_volatile(value) }
    }

    /// Copies out of the page. Panics outside the page.
    pub fn read(&self, offset: usize, into: &mut [u8]) {
        for (i, byte) in into.iter_mut().enumerate() {
            *byte = self.read_u8(offset + i);
        }
    }

    /// Copies into the page. Panics outside the page.
    pub fn write(&mut self, offset: usize, from: &[u8]) {
        for (i, byte) in from.iter().enumerate() {
            self.write_u8(offset + i, *byte);
        }
    }

    /// Clears the whole page.
    pub fn clear(&mut self) {
        for offset in (0..PAGE_SIZE as usize).step_by(8) {
            self.write_u64(offset, 0);
        }
    }

    fn at(&self, offset: usize, len: usize) -> u64 {
        let inside = offset <= PAGE_SIZE as usize - len;
        assert!(
            inside && offset.is_multiple_of(len),
            "outside the shared page"
        );
        self.virt + offset as u64
    }
}
