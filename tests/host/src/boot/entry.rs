//! PVH entry: 32-bit protected mode to 64-bit mode with 5-level identity paging, so that
//! nested page tables have five levels and guest-physical addresses 52 bits.
#![allow(unsafe_code)] // Reason: the first instructions are assembly.

use core::arch::global_asm;

// PVH entry state (Xen's x86/HVM direct boot ABI): 32-bit, paging off, EBX = start info.
global_asm!(
    r#"
    .section .note.pvh, "a", @note
    .align 4
    .long 4, 8, 18
    .asciz "Xen"
    .align 4
    .quad pvh_start

    .section .boot.text, "ax", @progbits
    .code32
    .global pvh_start
pvh_start:
    cli
    cld
    mov esp, offset host_stack_top
    mov eax, cr4
    or eax, 0x1020          // LA57, PAE
    mov cr4, eax
    mov eax, offset host_pml5
    mov cr3, eax
    mov ecx, 0xC0000080     // EFER
    rdmsr
    or eax, 0x1900          // SVME, NXE, LME
    wrmsr
    mov eax, cr0
    or eax, 0x80010021      // PG, WP, NE, PE
    mov cr0, eax
    lgdt [host_gdt_pointer]
    mov eax, 0x08
    push eax
    mov eax, offset host_start64
    push eax
    retf

    .code64
host_start64:
    xor eax, eax
    mov ds, eax
    mov es, eax
    mov ss, eax
    mov fs, eax
    mov gs, eax
    lea rsp, [rip + host_stack_top]
    xor ebp, ebp
    call {start}
1:  hlt
    jmp 1b

    .section .data
    .align 4096
host_pml5: .quad host_pml4 + 3
    .fill 511, 8, 0
host_pml4: .quad host_pdpt + 3
    .fill 511, 8, 0
host_pdpt:                  // four pages of 1 GiB: present, writable, large
    .quad 0x00000083, 0x40000083, 0x80000083, 0xC0000083
    .fill 508, 8, 0
    .align 16
host_gdt:
    .quad 0
    .quad 0x00AF9B000000FFFF
    .quad 0x00CF93000000FFFF
host_gdt_pointer:
    .word 23
    .quad host_gdt

    .section .bss
    .align 4096
    .skip 131072
host_stack_top:
    .text
    "#,
    start = sym super::start::start,
);
