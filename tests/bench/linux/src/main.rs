//! The first process of the Linux that `tessera bench --peer linux` boots: a static program without
//! a C library that counts what `userland/services/src/bin/bench.rs` counts, by the same counter, in
//! the same way, and prints the same lines.
//!
//! All of it runs under SCHED_FIFO with one priority, where a thread that yields or sleeps gives the
//! processor to the other one at once. That is the least that Linux needs.
#![no_std]
#![no_main]
#![allow(unsafe_code)] // reason: the first instruction is a reading

mod fault;
mod ipc;
mod say;
mod stamp;
mod switch;
mod system;

use core::arch::global_asm;
use stamp::least;

// The stack that Linux gives is aligned to 16. CPUID leaves every guest: a host that counts
// until ring 3 is left first sees the end of the boot.
global_asm!(
    ".global _start",
    "_start:",
    "rdtsc",
    "shl rdx, 32",
    "lea rdi, [rax + rdx]",
    "xor eax, eax",
    "cpuid",
    "call {main}",
    "ud2",
    main = sym main,
);

#[panic_handler]
fn panic(_: &core::panic::PanicInfo<'_>) -> ! {
    say::line("failed: panic", None);
    system::power_off()
}

extern "sysv64" fn main(start: u64) -> ! {
    say::line("boot-to-user", Some(start));
    system::first_in_first_out();
    let empty = least(|| {});
    say::line("getpid", Some(least(system::null) - empty));
    ipc::pipe(empty);
    ipc::futex(empty);
    switch::yields(empty);
    fault::anonymous(empty);
    fault::user_handler(empty);
    say::line("done", Some(0));
    system::power_off()
}
