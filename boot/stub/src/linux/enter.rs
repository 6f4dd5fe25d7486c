//! Linux' 64-bit entry. Source: Linux `Documentation/arch/x86/boot.rst`, "64-bit Boot Protocol":
//! flat segments with selectors 0x10 and 0x18, identity map, interrupts off, RSI = zero page.
#![allow(unsafe_code)] // the jump into another kernel

use core::arch::{global_asm, naked_asm};
use tessera_handoff::layout::LINUX_BOOT_PARAMS;

global_asm!(
    ".section .rodata.gdt, \"a\"",
    ".balign 8",
    "linux_gdt: .quad 0, 0, 0x00AF9B000000FFFF, 0x00CF93000000FFFF",
    "linux_gdtr: .word 31",
    ".quad linux_gdt",
);

/// Enters Linux at `entry` on the tables and the stack of the stub.
pub fn enter(entry: u64) -> ! {
    // SAFETY: the entry was checked against the measured launch block; the identity map covers
    // kernel, zero page and command line, and nothing of the stub is needed again.
    unsafe { switch(entry, LINUX_BOOT_PARAMS) }
}

#[unsafe(naked)]
unsafe extern "sysv64" fn switch(entry: u64, boot_params: u64) -> ! {
    naked_asm!(
        "cli",
        "lgdt [rip + linux_gdtr]",
        "mov eax, 0x18",
        "mov ds, eax",
        "mov es, eax",
        "mov ss, eax",
        "xor eax, eax",
        "mov fs, eax",
        "mov gs, eax",
        "push 0x10",
        "lea rax, [rip + 2f]",
        "push rax",
        "retfq",
        "2:",
        "xor ebx, ebx",
        "xor ebp, ebp",
        "jmp rdi",
    )
}
