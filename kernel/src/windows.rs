//! Views of memory: the direct map and the current process' pages. Addresses come checked.
#![allow(unsafe_code)] // an address becomes a slice here and nowhere else in the kernel

use tessera_handoff::layout::DIRECT_MAP;
use tessera_hw::instr;
use tessera_hw::protect::user_access;
use tessera_hw::trap::TrapFrame;

/// Bytes of private physical memory through the direct map, for reading.
///
/// The caller names memory that is mapped there and that nothing changes meanwhile.
pub fn physical(gpa: u64, len: usize) -> &'static [u8] {
    // SAFETY: the direct map covers the image and all accepted frames; callers pass ranges of
    // the image (measured, constant) or of frames they own.
    unsafe { core::slice::from_raw_parts((DIRECT_MAP + gpa) as *const u8, len) }
}

/// Words of physical memory that the caller owns for good.
pub fn physical_words(gpa: u64, count: usize) -> &'static mut [u64] {
    // SAFETY: as `physical`; the caller gives this range away for ever (frame bitmaps).
    unsafe { core::slice::from_raw_parts_mut((DIRECT_MAP + gpa) as *mut u64, count) }
}

/// Where the direct map has a frame that the caller owns.
pub fn direct(gpa: u64) -> u64 {
    DIRECT_MAP + gpa
}

/// One 8-byte word of physical memory.
pub fn read_word(gpa: u64) -> u64 {
    // SAFETY: aligned word of a page table or an owned frame in the direct map.
    unsafe { ((DIRECT_MAP + gpa) as *const u64).read_volatile() }
}

/// Writes one 8-byte word of physical memory.
pub fn write_word(gpa: u64, value: u64) {
    // SAFETY: as `read_word`.
    unsafe { ((DIRECT_MAP + gpa) as *mut u64).write_volatile(value) }
}

/// Zeroes a page that the caller owns.
pub fn zero_page(gpa: u64) {
    // SAFETY: an owned frame in the direct map.
    unsafe { instr::clear_page(DIRECT_MAP + gpa) }
}

/// Copies a page to one that the caller owns.
pub fn copy_page(from: u64, to: u64) {
    // SAFETY: owned frames in the direct map.
    unsafe { instr::copy_words(DIRECT_MAP + from, DIRECT_MAP + to, 512) }
}

/// Copies registers by words.
pub fn copy_frame(from: &TrapFrame, to: &mut TrapFrame) {
    // SAFETY: two structures of that many words, which do not overlap.
    unsafe { instr::copy_words(&raw const *from as u64, &raw mut *to as u64, FRAME_WORDS) }
}
const FRAME_WORDS: u64 = size_of::<TrapFrame>() as u64 / 8;

/// Copies into a frame that the caller owns; `offset + data.len()` is at most a page.
pub fn fill(gpa: u64, offset: usize, data: &[u8]) {
    assert!(offset + data.len() <= 4096);
    let to = (DIRECT_MAP + gpa) as *mut u8;
    // SAFETY: inside an owned frame.
    unsafe { core::ptr::copy_nonoverlapping(data.as_ptr(), to.add(offset), data.len()) }
}

/// Copies from the current process; the range was checked to be the user's.
pub fn copy_from_user(virt: u64, into: &mut [u8]) {
    // SAFETY: mapped user pages of the current address space (checked by the caller), and the
    // only thread of the process is in this system call.
    user_access(|| unsafe {
        core::ptr::copy_nonoverlapping(virt as *const u8, into.as_mut_ptr(), into.len());
    });
}

/// Copies to the current process; the range was checked to be the user's and writable.
pub fn copy_to_user(virt: u64, from: &[u8]) {
    // SAFETY: as `copy_from_user`.
    user_access(|| unsafe {
        core::ptr::copy_nonoverlapping(from.as_ptr(), virt as *mut u8, from.len());
    });
}

/// The instruction bytes at `rip` of interrupted kernel or user code, up to 15, never past the
/// page that RIP is in; and how many.
pub fn code(rip: u64) -> ([u8; 15], usize) {
    let mut bytes = [0; 15];
    let len = (4096 - (rip & 4095)).min(15) as usize;
    // SAFETY: the processor was executing there, so the page is mapped and readable.
    user_access(|| unsafe {
        core::ptr::copy_nonoverlapping(rip as *const u8, bytes.as_mut_ptr(), len);
    });
    (bytes, len)
}

/// Reads a 32-bit device register in a window: one plain load, which an exception can serve.
pub fn read_register(window: u64) -> u32 {
    // SAFETY: a device's page, mapped for good; reading starts no transfers.
    unsafe { ((DIRECT_MAP + window) as *const u32).read_volatile() }
}

/// Writes a 32-bit device register in a window.
pub fn write_register(window: u64, value: u32) {
    // SAFETY: an APIC's page, mapped for good; its registers start no transfers.
    unsafe { ((DIRECT_MAP + window) as *mut u32).write_volatile(value) }
}
