//! The host's heap: a bump allocator that takes back only the newest block. The host lives for
//! one boot of one guest, so that is enough.
#![allow(unsafe_code)] // Reason: `GlobalAlloc` is an unsafe trait.

use core::alloc::{GlobalAlloc, Layout};
use core::sync::atomic::{AtomicUsize, Ordering};

/// First byte of the heap; the host's own image ends below.
const START: usize = 16 << 20;
/// End of the heap; the frames of the guest start here.
pub const END: usize = 56 << 20;

struct Bump {
    next: AtomicUsize,
}

#[global_allocator]
static HEAP: Bump = Bump {
    next: AtomicUsize::new(START),
};

// SAFETY: blocks are disjoint, aligned and inside START..END, which nothing else uses; there is
// one processor and interrupt handlers do not allocate.
unsafe impl GlobalAlloc for Bump {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        let next = self.next.load(Ordering::Relaxed);
        let start = next.next_multiple_of(layout.align());
        match start.checked_add(layout.size()) {
            Some(end) if end <= END => {
                self.next.store(end, Ordering::Relaxed);
                start as *mut u8
            }
            _ => core::ptr::null_mut(),
        }
    }

    unsafe fn dealloc(&self, block: *mut u8, layout: Layout) {
        let end = block as usize + layout.size();
        if end == self.next.load(Ordering::Relaxed) {
            self.next.store(block as usize, Ordering::Relaxed);
        }
    }
}
