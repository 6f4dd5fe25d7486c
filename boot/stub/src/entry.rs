//! The doors of the stub. Which door was used is the first piece of evidence.
//!
//! 64-bit doors (`entry_snp`, `entry_native`, `entry_lower`) come with the builder's identity
//! tables (or the paravisor's copy of their layout); 32-bit doors (`entry_tdx32`, `entry_pvh`)
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
    /// From our paravisor in VMPL 0.
    LowerSnp = 5,
    /// From our paravisor in the L1 TD.
    LowerTdx = 6,
}

impl Door {
    fn from_u64(value: u64) -> Self {
        match value {
            1 => Door::Snp,
            2 => Door::Tdx,
            4 => Door::Pvh,
            5 => Door::LowerSnp,
            6 => Door::LowerTdx,
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

// 64-bit doors: RSP is set here so that every door has the same stack. `entry_lower` is told
// by the paravisor in RDI which lower context it is (5 or 6).
global_asm!(
    ".section .text.entry, \"ax\"",
    ".code64",
    ".global entry_snp, entry_native, entry_lower",
    "entry_snp:",
    "mov edi, 1",
    "jmp 2f",
    "entry_native:",
    "mov edi, 3",
    "jmp 2f",
    "entry_lower:",
    "2:",
    "mov esp, {stack}",
    "xor ebp, ebp",
    "cld",
    "call {main}",
    "ud2",
    stack = const STUB_END,
    main = sym door_main,
);

// 32-bit doors. The GDT is in the image. EFER.LME is already set under TDX and must not be
// rewritten there (348549, "Initial State of Guest GPRs"); PVH sets LME and NXE itself.
// TDX: ESI = vCPU index; all but the first wait on the boot mailbox word for ever, since no
// secondary processor is started by this stub.
global_asm!(
    ".section .text.entry, \"ax\"",
    ".code32",
    ".global entry_tdx32, entry_pvh",
    "entry_tdx32:",
    "test esi, esi",
    "jz 3f",
    "2: pause",
    "jmp 2b",
    "3:",
    "mov edi, 2",
    "xor esi, esi",
    "jmp 5f",
    "entry_pvh:",
    "mov edi, 4",
    "mov esi, ebx",
    "call 9f",
    "mov ecx, 0xC0000080",
    "rdmsr",
    "or eax, 0x900",
    "wrmsr",
    "5:",
    "lgdt [{gdt}]",
    "mov eax, cr4",
    "or eax, 0x20",
    "mov cr4, eax",
    "mov eax, {tables}",
    "mov cr3, eax",
    "mov eax, cr0",
    "or eax, 0x80010000",
    "mov cr0, eax",
    "ljmp 8, offset 6f",
    // PVH only: PML4 -> PDPT -> PD with the first GiB by 2 MiB pages, as the builder makes them
    "9:",
    "lea esp, [{stack}]",
    "ret_pvh_tables:",
    "mov dword ptr [{tables}], {tables} + 0x1000 + 3",
    "mov dword ptr [{tables} + 4], 0",
    "mov dword ptr [{tables} + 0x1000], {tables} + 0x2000 + 3",
    "mov dword ptr [{tables} + 0x1004], 0",
    "xor ecx, ecx",
    "7: mov eax, ecx",
    "shl eax, 21",
    "or eax, 0x83",
    "mov [{tables} + 0x2000 + ecx * 8], eax",
    "mov dword ptr [{tables} + 0x2004 + ecx * 8], 0",
    "inc ecx",
    "cmp ecx, 512",
    "jb 7b",
    "jmp pvh_tables_done",
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
    ".align 8",
    "stub_gdt: .quad 0, 0x00AF9B000000FFFF, 0x00CF93000000FFFF",
    "stub_gdtr: .word 23",
    ".long stub_gdt",
    gdt = sym stub_gdtr,
    tables = const BOOT_TABLES,
    stack = const STUB_END,
    main = sym door_main,
);

unsafe extern "C" {
    static stub_gdtr: [u8; 6];
}

extern "C" fn door_main(door: u64, argument: u64) -> ! {
    crate::boot::run(Door::from_u64(door), argument)
}
