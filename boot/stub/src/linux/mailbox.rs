//! TDX: the other processors change from the reset page to ACPI's mailbox, from which Linux wakes them.
//! Source: ACPI 6.5, 5.2.12.19 (multiprocessor wake-up structure and its mailbox).
//!
//! What they execute, read and are mapped by stays reserved: two pages of the image, and the reset
//! page's tables, which get the first 3 GiB at their own addresses.
#![allow(unsafe_code)] // words of the reset page, which the stub's tables do not show

use crate::{claims, memory};
use core::arch::global_asm;
use tessera_handoff::layout::{BOOT_TABLES, LINUX_MAILBOX, RESET_TABLES, WAKE, WAKE_WORDS};

/// Code behind the mailbox.
const CODE: u64 = LINUX_MAILBOX + 4096;
/// Present, writable, accessed, dirty, large.
const GIB: u64 = 0xE3;

// The mailbox: command u16 at 0 (1: wake up), APIC id u32 at 4, vector u64 at 8. The command is taken
// back before the jump, which says that it was heard.
global_asm!(
    ".section .text.entry, \"ax\"",
    ".code64",
    ".global mailbox_wait, mailbox_wait_end",
    "mailbox_wait:",
    "mov eax, 0xB",
    "xor ecx, ecx",
    "cpuid",
    "mov ebx, {mailbox}",
    "2: pause",
    "cmp word ptr [rbx], 1",
    "jne 2b",
    "cmp dword ptr [rbx + 4], edx",
    "jne 2b",
    "mov rax, [rbx + 8]",
    "mov word ptr [rbx], 0",
    "jmp rax",
    "mailbox_wait_end:",
    mailbox = const LINUX_MAILBOX,
);

unsafe extern "C" {
    static mailbox_wait: u8;
    static mailbox_wait_end: u8;
}

/// Clears the mailbox, and sends every processor that the host claims to it.
pub fn open() {
    memory::write(LINUX_MAILBOX, &[0; 4096]);
    // SAFETY: the symbols enclose code of the stub.
    let code = unsafe {
        let len = &raw const mailbox_wait_end as usize - &raw const mailbox_wait as usize;
        core::slice::from_raw_parts(&raw const mailbox_wait, len)
    };
    memory::write(CODE, code);
    // The last GiB, where the reset page is, in the stub's own tables.
    memory::write_value(BOOT_TABLES + 0x1000 + 3 * 8, &(3 << 30 | GIB));
    for gib in 0..3u64 {
        put(RESET_TABLES + 0x1000 + gib * 8, gib << 30 | GIB);
    }
    for index in 1..u64::from(claims::vp_count()).min(WAKE_WORDS) {
        put(WAKE + index * 8, CODE);
    }
}

fn put(gpa: u64, value: u64) {
    // SAFETY: the reset page or its tables, measured and private, mapped just now; no Rust object
    // stands there, and the processors that read it take each word in one access.
    unsafe { (gpa as *mut u64).write_volatile(value) }
}
