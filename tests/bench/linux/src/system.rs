//! Linux' system calls, as many as are needed. Numbers: Linux `arch/x86/entry/syscalls/syscall_64.tbl`;
//! convention: System V ABI, AMD64 supplement, A.2.1. An error is a negative result.
#![allow(unsafe_code)] // reason: SYSCALL

use core::arch::asm;

const READ: u64 = 0;
const WRITE: u64 = 1;
const MMAP: u64 = 9;
const IOCTL: u64 = 16;
const PIPE: u64 = 22;
const SCHED_YIELD: u64 = 24;
const MADVISE: u64 = 28;
const CLONE: u64 = 56;
const FORK: u64 = 57;
const GETPID: u64 = 39;
const SCHED_SETSCHEDULER: u64 = 144;
const REBOOT: u64 = 169;
const FUTEX: u64 = 202;
const USERFAULTFD: u64 = 323;

const PROT_READ_WRITE: u64 = 3;
pub const MAP_SHARED: u64 = 1;
pub const MAP_PRIVATE: u64 = 2;
const MAP_ANONYMOUS: u64 = 0x20;
const MADV_NOHUGEPAGE: u64 = 15;
const SCHED_FIFO: u64 = 1;
const FUTEX_WAIT: u64 = 0;
const FUTEX_WAKE: u64 = 1;
/// VM, FS, FILES, SIGHAND, THREAD, SYSVSEM: a thread of this process.
const CLONE_THREAD: u64 = 0x5_0F00;

/// A call whose arguments name no memory, or memory that the caller keeps.
///
/// # Safety
/// The kernel may write where the arguments say so.
#[inline(always)]
pub unsafe fn call(number: u64, a: [u64; 6]) -> i64 {
    let result;
    // SAFETY: the convention; memory is the caller's promise.
    unsafe {
        asm!("syscall", inlateout("rax") number as i64 => result, in("rdi") a[0], in("rsi") a[1],
            in("rdx") a[2], in("r10") a[3], in("r8") a[4], in("r9") a[5],
            lateout("rcx") _, lateout("r11") _, options(nostack));
    }
    result
}

/// A call that must succeed; its result. There is nobody to tell but the runner.
fn must(what: &'static str, number: u64, arguments: [u64; 6]) -> u64 {
    // SAFETY: the callers below name memory of their own that outlives the call.
    let result = unsafe { call(number, arguments) };
    if result < 0 {
        crate::say::line("failed", Some(result.unsigned_abs()));
        crate::say::line(what, None);
        power_off()
    }
    result as u64
}

/// The null call that others count: the least of those that there are.
#[inline(always)]
pub fn null() {
    // SAFETY: names no memory.
    unsafe { call(GETPID, [0; 6]) };
}

pub fn print(bytes: &[u8]) {
    // SAFETY: only read. A console that takes less shows in the runner.
    unsafe {
        call(
            WRITE,
            [1, bytes.as_ptr() as u64, bytes.len() as u64, 0, 0, 0],
        )
    };
}

/// Real time, first in, first out: what follows, children included.
pub fn first_in_first_out() {
    let priority = 1i32;
    let at = &raw const priority as u64;
    must(
        "sched_setscheduler",
        SCHED_SETSCHEDULER,
        [0, SCHED_FIFO, at, 0, 0, 0],
    );
}

/// Flushes nothing: the file systems are in memory.
pub fn power_off() -> ! {
    const MAGIC: [u64; 3] = [0xFEE1_DEAD, 672_274_793, 0x4321_FEDC];
    loop {
        // SAFETY: names no memory; does not come back.
        unsafe { call(REBOOT, [MAGIC[0], MAGIC[1], MAGIC[2], 0, 0, 0]) };
    }
}

/// Two ends: to read, to write.
pub fn pipe() -> [u32; 2] {
    let mut ends = [0u32; 2];
    must("pipe", PIPE, [&raw mut ends as u64, 0, 0, 0, 0, 0]);
    ends
}

/// Eight bytes into a pipe.
#[inline(always)]
pub fn write_word(end: u32, word: &u64) {
    // SAFETY: only read.
    unsafe { call(WRITE, [end.into(), word as *const u64 as u64, 8, 0, 0, 0]) };
}

/// `into` from a file; how many bytes.
#[inline(always)]
pub fn read(end: u32, into: &mut [u64]) -> i64 {
    let bytes = size_of_val(into) as u64;
    // SAFETY: the kernel writes into the slice at most.
    unsafe { call(READ, [end.into(), into.as_mut_ptr() as u64, bytes, 0, 0, 0]) }
}

/// True in the child.
pub fn fork() -> bool {
    must("fork", FORK, [0; 6]) == 0
}

/// Fresh memory of `bytes`, zero, by pages of 4 KiB.
pub fn memory(bytes: u64, share: u64) -> u64 {
    let flags = share | MAP_ANONYMOUS;
    let at = must(
        "mmap",
        MMAP,
        [0, bytes, PROT_READ_WRITE, flags, u64::MAX, 0],
    );
    if share == MAP_PRIVATE {
        must("madvise", MADVISE, [at, bytes, MADV_NOHUGEPAGE, 0, 0, 0]);
    }
    at
}

/// Sleeps while `word` is `value`.
#[inline(always)]
pub fn futex_wait(word: *const u32, value: u32) {
    // SAFETY: the word is only read.
    unsafe { call(FUTEX, [word as u64, FUTEX_WAIT, value.into(), 0, 0, 0]) };
}

/// Wakes one.
#[inline(always)]
pub fn futex_wake(word: *const u32) {
    // SAFETY: the word is only read.
    unsafe { call(FUTEX, [word as u64, FUTEX_WAKE, 1, 0, 0, 0]) };
}

#[inline(always)]
pub fn yield_now() {
    // SAFETY: names no memory.
    unsafe { call(SCHED_YIELD, [0; 6]) };
}

/// A file whose reader is told of faults.
pub fn userfaultfd() -> u32 {
    must("userfaultfd", USERFAULTFD, [0; 6]) as u32
}

/// A request with a structure.
#[inline(always)]
pub fn ioctl(what: &'static str, file: u32, request: u64, structure: &mut [u64]) {
    let at = structure.as_mut_ptr() as u64;
    must(what, IOCTL, [file.into(), request, at, 0, 0, 0]);
}

/// A thread of this process on `stack` (its top, aligned to 16), which never ends.
///
/// # Safety
/// The stack is nobody else's.
pub unsafe fn thread(main: extern "sysv64" fn() -> !, stack: u64) {
    // SAFETY: the new thread starts behind SYSCALL with its own stack and goes to `main`.
    unsafe {
        asm!("syscall", "test rax, rax", "jnz 2f", "xor ebp, ebp", "call r12", "ud2", "2:",
            in("r12") main, inlateout("rax") CLONE => _, in("rdi") CLONE_THREAD, in("rsi") stack,
            in("rdx") 0, in("r10") 0, in("r8") 0, lateout("rcx") _, lateout("r11") _);
    }
}
