//! Page faults: one that the kernel answers with a fresh page, and one that a thread answers.
#![allow(unsafe_code)] // reason: touches memory that is not there yet

use crate::stamp::{SAMPLES, stamp};
use crate::{say, system};
use core::sync::atomic::{AtomicU32, Ordering::SeqCst};

const PAGE: u64 = 4096;

/// The least count of the first write to each page.
fn touch(at: u64, empty: u64) -> u64 {
    let pages = 0..u64::from(SAMPLES);
    let counts = pages.map(|page| {
        let byte = (at + page * PAGE) as *mut u8;
        let before = stamp();
        // SAFETY: mapped memory of this process' own, for both callers.
        unsafe { byte.write_volatile(1) };
        stamp() - before
    });
    counts.min().unwrap_or(0) - empty
}

/// Anonymous memory of 4 KiB pages.
pub fn anonymous(empty: u64) {
    let at = system::memory(u64::from(SAMPLES) * PAGE, system::MAP_PRIVATE);
    say::line("page-fault", Some(touch(at, empty)));
}

// Linux include/uapi/linux/userfaultfd.h: structures of 64-bit words, requests by _IOWR(0xAA, n, size).
const API: u64 = 0xC018_AA3F;
const REGISTER: u64 = 0xC020_AA00;
const ZEROPAGE: u64 = 0xC020_AA04;
const MISSING: u64 = 1;
/// Low byte of a message's first word.
const EVENT_PAGEFAULT: u64 = 0x12;

static FILE: AtomicU32 = AtomicU32::new(0);

/// Answers each fault with a page of zeros.
extern "sysv64" fn pager() -> ! {
    let file = FILE.load(SeqCst);
    loop {
        // Event, flags, address, thread.
        let mut message = [0u64; 4];
        system::read(file, &mut message);
        if message[0] & 0xFF == EVENT_PAGEFAULT {
            let page = message[2] & !(PAGE - 1);
            system::ioctl("UFFDIO_ZEROPAGE", file, ZEROPAGE, &mut [page, PAGE, 0, 0]);
        }
    }
}

/// Memory whose faults a thread of the process answers, by userfaultfd.
pub fn user_handler(empty: u64) {
    let len = u64::from(SAMPLES) * PAGE;
    let at = system::memory(len, system::MAP_PRIVATE);
    let file = system::userfaultfd();
    system::ioctl("UFFDIO_API", file, API, &mut [0xAA, 0, 0]);
    system::ioctl(
        "UFFDIO_REGISTER",
        file,
        REGISTER,
        &mut [at, len, MISSING, 0],
    );
    FILE.store(file, SeqCst);
    let stack = system::memory(PAGE, system::MAP_PRIVATE) + PAGE;
    // SAFETY: fresh memory.
    unsafe { system::thread(pager, stack) };
    // It sleeps in its read before the first fault.
    system::yield_now();
    say::line("pager-fault", Some(touch(at, empty)));
}
