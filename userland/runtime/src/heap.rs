//! The heap: regions that are mapped one behind the other as it grows, as far as the quota goes.
//! A program that allocates nothing has none.
#![allow(unsafe_code)] // an allocator is unsafe to be

use crate::handle::Handle;
use crate::{process, time};
use core::alloc::{GlobalAlloc, Layout};
use core::ptr::{NonNull, null_mut};
use linked_list_allocator::Heap;
use spin::mutex::SpinMutex;
use tessera_abi::error::Error;
use tessera_abi::number::{MAP_WRITE, REGION_PAGES};

const PAGE: usize = 4096;
/// Where it begins; nothing else is mapped behind this address.
const BASE: usize = 0x4000_0000_0000;
/// Pages that it grows by at least.
const STEP: usize = 16;

#[global_allocator]
static ALLOCATOR: Allocator = Allocator(SpinMutex::new(Heap::empty()));

struct Allocator(SpinMutex<Heap>);

impl Allocator {
    /// Runs `f` with the heap. A thread that finds it taken sleeps: the other one may have a lower
    /// priority.
    fn with<R>(&self, f: impl FnOnce(&mut Heap) -> R) -> R {
        loop {
            if let Some(mut heap) = self.0.try_lock() {
                return f(&mut heap);
            }
            time::yield_now();
            let _cancelled = time::sleep(1);
        }
    }
}

// SAFETY: the crate's heap hands out what it was given, once; it is given only fresh mappings.
unsafe impl GlobalAlloc for Allocator {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        self.with(|heap| {
            loop {
                match heap.allocate_first_fit(layout) {
                    Ok(place) => return place.as_ptr(),
                    Err(()) if grow(heap, layout).is_ok() => {}
                    Err(()) => return null_mut(),
                }
            }
        })
    }

    unsafe fn dealloc(&self, place: *mut u8, layout: Layout) {
        let Some(place) = NonNull::new(place) else {
            return;
        };
        // SAFETY: the caller's promise: it came from `alloc` with this layout.
        self.with(|heap| unsafe { heap.deallocate(place, layout) });
    }
}

/// Maps a further region. Errors: those of the calls, `QuotaExceeded` above all.
fn grow(heap: &mut Heap, layout: Layout) -> Result<(), Error> {
    let wanted = layout.size().checked_add(layout.align() + PAGE);
    let pages = (wanted.ok_or(Error::TooLong)? / PAGE).clamp(STEP, REGION_PAGES as usize);
    let end = BASE + heap.size();
    let region = process::region(pages as u64, Handle::NONE)?;
    // SAFETY: nobody else has the region, and nothing is mapped behind the heap's end.
    let mapped = unsafe { process::map(region, end as u64, MAP_WRITE) };
    region.close()?;
    mapped?;
    // SAFETY: fresh memory, which follows the heap's without a gap.
    unsafe {
        match heap.size() {
            0 => heap.init(BASE as *mut u8, pages * PAGE),
            _ => heap.extend(pages * PAGE),
        }
    }
    Ok(())
}
