//! The doors of the stub. Which door was used is the first piece of evidence.
//!
//! 64-bit doors (`entry_snp`, `entry_native`) come with the builder's identity tables; 32-bit doors (`entry_tdx32`, `entry_pvh`)
//! switch to long mode on them first. All of them call `stub_main(door, argument)`.
#![allow(unsafe_code)] // machine entry: nothing can be safe before the first stack exists

use core::arch::global_asm;
use tessera_handoff::layout::{BOOT_TABLES, STUB_END};

/// How the stub was entered.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u64)]
pub enum Door {
    /// From the measured VMSA.
    Snp = 1,
    /// From the TDX reset vector.
    Tdx = 2,
    /// From the IGVM file's native context.
    Native = 3,
    /// By PVH; the argument is the start info's address.
    Pvh = 4,
    /// From our paravisor, in VMPL 2.
    Vmpl2 = 5,
    /// From our paravisor, in an L2 VM.
    L2 = 6,
}

impl Door {
    /// The door of a number; unknown ones count as the least protected.
    pub fn from_u64(value: u64) -> Self {
        match value {
            1 => Door::Snp,
            2 => Door::Tdx,
            4 => Door::Pvh,
            5 => Door::Vmpl2,
            6 => Door::L2,
            _ => Door::Native,
        }
    }
}

// PVH note: type 18 (XEN_ELFNOTE_PHYS32_ENTRY), name "Xen", 32-bit entry address.
global_asm!(
    ".section .note.pvh, \"a\"",
    ".align 4",
    ".long 4, 4, 18",
    ".asciz \"Xen\"",
    ".long entry_pvh",
);

// 64-bit doors: RSP is set here so that every door has the same stack.
global_asm!(
    ".section .text.entry, \"ax\"",
    ".code64",
    ".global entry_snp, entry_native, entry_vmpl2, entry_l2",
    "entry_snp:",
    "mov edi, 1",
    "jmp 2f",
    "entry_vmpl2:",
    "mov edi, 5",
    "jmp 2f",
    "entry_l2:",
    "mov edi, 6",
    "jmp 2f",
    "entry_native:",
    "mov edi, 3",
    "2:",
    "mov esp, {stack}",
    "xor ebp, ebp",
    "cld",
    "call {main}",
    "ud2",
    stack = const STUB_END,
    main = sym door_main,
);

// 32-bit doors. EFER.LME and NXE are set already under TDX, where EFER must not be rewritten
// (348549, "Initial State"); PVH sets them itself, and builds the tables that the image builder
// puts into the file for everybody else: PML4, PDPT, one PD with the first GiB by 2 MiB pages.
// TDX: only the first processor comes here, see `crate::reset`.
global_asm!(
    ".section .text.entry, \"ax\"",
    ".code32",
    ".global entry_tdx32, entry_pvh",
    "entry_tdx32:",
    "mov edi, 2",
    "jmp 5f",
    "entry_pvh:",
    "mov edi, 4",
    "mov esi, ebx",
    "mov ebx, {tables}",
    "lea eax, [ebx + 0x1003]",
    "mov dword ptr [ebx], eax",
    "mov dword ptr [ebx + 4], 0",
    "lea eax, [ebx + 0x2003]",
    "mov dword ptr [ebx + 0x1000], eax",
    "mov dword ptr [ebx + 0x1004], 0",
    "xor ecx, ecx",
    "4: mov eax, ecx",
    "shl eax, 21",
    "or eax, 0xe3",
    "mov dword ptr [ebx + ecx * 8 + 0x2000], eax",
    "mov dword ptr [ebx + ecx * 8 + 0x2004], 0",
    "inc ecx",
    "cmp ecx, 512",
    "jb 4b",
    "5:",
    "lgdt [stub_gdtr]",
    "mov eax, cr4",
    "or eax, 0x20",
    "mov cr4, eax",
    "cmp edi, 4",
    "jne 7f",
    "mov ecx, 0xC0000080",
    "rdmsr",
    "or eax, 0x900",
    "wrmsr",
    "7:",
    "mov eax, {tables}",
    "mov cr3, eax",
    "mov eax, cr0",
    "or eax, 0x80010001",
    "mov cr0, eax",
    "mov esp, {stack}",
    "push 8",
    "lea eax, [6f]",
    "push eax",
    "retf",
    ".code64",
    "6:",
    "mov eax, 16",
    "mov ds, eax",
    "mov es, eax",
    "mov ss, eax",
    "mov esp, {stack}",
    "xor ebp, ebp",
    "cld",
    "call {main}",
    "ud2",
    ".section .rodata.gdt, \"a\"",
    ".balign 8",
    "stub_gdt: .quad 0, 0x00AF9B000000FFFF, 0x00CF93000000FFFF",
    "stub_gdtr: .word 23",
    ".long stub_gdt",
    tables = const BOOT_TABLES,
    stack = const STUB_END,
    main = sym door_main,
);

unsafe extern "C" {
    fn entry_vmpl2();
    fn entry_l2();
}

/// Address of the door for the lower context of a paravisor that is started from this one.
pub fn lower(door: Door) -> u64 {
    match door {
        Door::Tdx => entry_l2 as *const () as u64,
        _ => entry_vmpl2 as *const () as u64,
    }
}

extern "C" fn door_main(door: u64, argument: u64) -> ! {
    crate::boot::run(Door::from_u64(door), argument)
}
