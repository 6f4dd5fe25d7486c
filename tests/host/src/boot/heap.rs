//! The host's heap. Guests that start and end processors make the host allocate and free for as long as
//! they run.
#![allow(unsafe_code)] // Reason: `GlobalAlloc` is an unsafe trait.

use core::alloc::{GlobalAlloc, Layout};
use core::ptr::{NonNull, null_mut};
use linked_list_allocator::Heap;
use spin::mutex::SpinMutex;

/// First byte of the heap; the host's own image ends below.
const START: usize = 16 << 20;
/// End of the heap; the frames of the guest start here.
pub const END: usize = 56 << 20;

/// There is one processor, and interrupt handlers do not allocate: the lock is free.
struct Allocator(SpinMutex<Heap>);

#[global_allocator]
static HEAP: Allocator = Allocator(SpinMutex::new(Heap::empty()));

// SAFETY: the crate's heap hands out disjoint, aligned blocks of START..END, which nothing else uses.
unsafe impl GlobalAlloc for Allocator {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        let mut heap = self.0.lock();
        if heap.size() == 0 {
            // SAFETY: RAM, identity mapped, and given once.
            unsafe { heap.init(START as *mut u8, END - START) };
        }
        let place = heap.allocate_first_fit(layout);
        place.map_or(null_mut(), NonNull::as_ptr)
    }

    unsafe fn dealloc(&self, place: *mut u8, layout: Layout) {
        if let Some(place) = NonNull::new(place) {
            // SAFETY: the caller's promise: it came from `alloc` with this layout.
            unsafe { self.0.lock().deallocate(place, layout) };
        }
    }
}
