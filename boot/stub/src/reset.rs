//! The code of the TDX reset page: where every processor of a TD starts, and where all but the first wait.
//! The image builder copies it to `RESET_CODE`. What a waiting processor executes and reads is in
//! pages that stay the TD's own, or L1's: the stub's pages are given to others.
//!
//! Initial state: 348549, "Initial State of TD VCPUs": 32-bit, flat, ESI the index, EFER.LME set.
#![allow(unsafe_code)] // machine entry

use core::arch::global_asm;
use tessera_handoff::layout::{RESET_CODE, RESET_CODE_BYTES, RESET_TABLES, WAKE, WAKE_WORDS};

global_asm!(
    ".section .text.entry, \"ax\"",
    ".balign 16",
    ".global entry_reset",
    ".code32",
    "entry_reset:",
    "test esi, esi",
    "jnz 2f",
    "mov eax, offset entry_tdx32",
    "jmp eax",
    "2: mov eax, cr4",
    "or eax, 0x20",
    "mov cr4, eax",
    "mov eax, {tables}",
    "mov cr3, eax",
    "mov eax, cr0",
    "or eax, 0x80010000", // PG, WP
    "mov cr0, eax",
    ".set reset_gdtr_at, {code} + (reset_gdtr - entry_reset)",
    "lgdt [reset_gdtr_at]",
    // JMP 8:reset_wait.
    ".byte 0xEA",
    ".long {code} + (reset_wait - entry_reset)",
    ".word 8",
    ".code64",
    "reset_wait:",
    "mov ebx, {wake}",
    "3: cmp esi, {words}",
    "jae 4f",
    "mov rax, [rbx + rsi * 8]",
    "test rax, rax",
    "jz 5f",
    "jmp rax",
    "5: pause",
    "jmp 3b",
    // There is no word for it.
    "4: pause",
    "jmp 4b",
    ".balign 8",
    "reset_gdt: .quad 0, 0x00AF9B000000FFFF",
    "reset_gdtr: .word 15",
    ".long {code} + (reset_gdt - entry_reset)",
    ".skip {bytes} - (. - entry_reset), 0xF4",
    tables = const RESET_TABLES as u32,
    code = const RESET_CODE,
    wake = const WAKE as u32,
    words = const WAKE_WORDS,
    bytes = const RESET_CODE_BYTES,
);
