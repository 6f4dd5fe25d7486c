//! Access to the image's own memory through the stub's identity map. Every address is checked
//! against the image, so that a wrong one is a panic and not a stray write.
#![allow(unsafe_code)] // the identity map turns addresses of the image into memory

use tessera_handoff::layout::{IMAGE_END, IMAGE_START, STUB_END};
use zerocopy::{FromBytes, Immutable, IntoBytes};

/// `len` bytes of the image at `gpa`.
pub fn bytes(gpa: u64, len: u64) -> &'static [u8] {
    check(gpa, len);
    // SAFETY: inside the image, which is identity mapped and private; nothing in the stub
    // keeps such a slice across a write to the same page.
    unsafe { core::slice::from_raw_parts(gpa as *const u8, len as usize) }
}

/// A value at `gpa`, copied.
pub fn read<T: FromBytes + Immutable>(gpa: u64) -> T {
    let len = core::mem::size_of::<T>();
    T::read_from_bytes(bytes(gpa, len as u64)).expect("the length is the type's")
}

/// Writes to the image, beyond the stub's own code and stack.
pub fn write(gpa: u64, data: &[u8]) {
    check(gpa, data.len() as u64);
    assert!(gpa >= STUB_END, "a write into the stub");
    // SAFETY: inside the image and beyond the stub, so no live Rust object stands there.
    unsafe { core::ptr::copy_nonoverlapping(data.as_ptr(), gpa as *mut u8, data.len()) }
}

/// Writes a value to the image.
pub fn write_value<T: IntoBytes + Immutable>(gpa: u64, value: &T) {
    write(gpa, value.as_bytes());
}

/// `count` values for good at `gpa`, each as `init` says.
pub fn place<T>(gpa: u64, count: usize, mut init: impl FnMut(usize) -> T) -> &'static mut [T] {
    check(gpa, (count * core::mem::size_of::<T>()) as u64);
    assert!(gpa >= STUB_END && gpa.is_multiple_of(core::mem::align_of::<T>() as u64));
    let first = gpa as *mut T;
    for n in 0..count {
        // SAFETY: checked room, aligned, and used for nothing else (the caller's layout).
        unsafe { first.add(n).write(init(n)) }
    }
    // SAFETY: all `count` values were written just now.
    unsafe { core::slice::from_raw_parts_mut(first, count) }
}

/// Bytes that a loader put outside the image (PVH only: plain machine, identity mapped).
pub fn loader_bytes(gpa: u64, len: u64) -> &'static [u8] {
    let end = gpa
        .checked_add(len)
        .expect("the loader's range wraps around");
    assert!(
        gpa != 0 && end <= 1 << 30,
        "the loader's range is not mapped"
    );
    assert!(
        end <= IMAGE_START || gpa >= IMAGE_END,
        "the loader\'s data lie in the image\'s room"
    );
    // SAFETY: mapped by the first GiB's identity map; the loader is done with it.
    unsafe { core::slice::from_raw_parts(gpa as *const u8, len as usize) }
}

fn check(gpa: u64, len: u64) {
    let end = gpa.checked_add(len);
    assert!(
        gpa >= IMAGE_START && end.is_some_and(|end| end <= IMAGE_END),
        "outside the image"
    );
}

/// Writes entry `index` of one of the boot tables (inside `BOOT_TABLES`' room).
pub fn write_boot_table(table: u64, index: usize, entry: u64) {
    use tessera_handoff::layout::{BOOT_TABLES, LAUNCH_BLOCK};
    assert!((BOOT_TABLES..LAUNCH_BLOCK).contains(&table) && index < 512);
    // SAFETY: an entry of our own tables; the caller only adds mappings.
    unsafe { (table as *mut u64).add(index).write_volatile(entry) }
    tessera_hw::instr::flush_tlb();
}
