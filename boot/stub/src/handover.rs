//! Writes the hand-over and switches to the kernel.
#![allow(unsafe_code)] // the switch of address spaces, and BootInfo's raw memory

use crate::memory;
use bootloader_api::BootInfo;
use bootloader_api::info::{MemoryRegion, Optional};
use core::arch::naked_asm;
use tessera_handoff::handoff::{BOOT_INFO_OFFSET, Handoff};
use tessera_handoff::layout::{DIRECT_MAP, HANDOFF_DATA, HANDOFF_PAGE, STACK_TOP};

/// Where the stub builds RSDP and XSDT around the MADT.
const ACPI: u64 = HANDOFF_DATA + 0x1000;

/// Writes BootInfo with the regions; `rsdp` is a guest physical address, 0 for none.
pub fn write_boot_info(regions: &'static mut [MemoryRegion], rsdp: u64) {
    let first = regions.as_mut_ptr() as u64 + DIRECT_MAP;
    // SAFETY: the same regions through the direct map, which is where the kernel finds them;
    // the stub does not touch them again.
    let regions =
        unsafe { core::slice::from_raw_parts_mut(first as *mut MemoryRegion, regions.len()) };
    let regions: &'static mut [MemoryRegion] = regions;
    let mut info = BootInfo::new(regions.into());
    info.physical_memory_offset = Optional::Some(DIRECT_MAP);
    info.rsdp_addr = if rsdp == 0 {
        Optional::None
    } else {
        Optional::Some(rsdp)
    };
    let mut info = Some(info);
    memory::place(HANDOFF_PAGE + BOOT_INFO_OFFSET, 1, |_| {
        info.take().expect("placed once")
    });
}

/// Writes the hand-over block.
pub fn write_handoff(handoff: &Handoff) {
    memory::write_value(HANDOFF_PAGE, handoff);
}

/// RSDP and XSDT around `madt`, in private memory; the RSDP's address. ACPI 6.5, 5.2.5, 5.2.8.
pub fn write_acpi(madt: &[u8]) -> u64 {
    let (xsdt, table) = (ACPI + 64, ACPI + 128);
    let mut header = [0u8; 44];
    header[..4].copy_from_slice(b"XSDT");
    header[4..8].copy_from_slice(&44u32.to_le_bytes());
    header[8] = 1;
    header[36..44].copy_from_slice(&table.to_le_bytes());
    header[9] = checksum(&header);
    let mut rsdp = [0u8; 36];
    rsdp[..8].copy_from_slice(b"RSD PTR ");
    rsdp[15] = 2;
    rsdp[20..24].copy_from_slice(&36u32.to_le_bytes());
    rsdp[24..32].copy_from_slice(&xsdt.to_le_bytes());
    rsdp[8] = checksum(&rsdp[..20]);
    rsdp[32] = checksum(&rsdp);
    memory::write(ACPI, &rsdp);
    memory::write(xsdt, &header);
    memory::write(table, madt);
    ACPI
}

fn checksum(bytes: &[u8]) -> u8 {
    bytes.iter().fold(0u8, |sum, byte| sum.wrapping_sub(*byte))
}

/// Address of the switch, whose page must be mapped in the new tables too.
pub fn trampoline() -> u64 {
    switch as *const () as u64
}

/// Loads `cr3` and enters the kernel at `entry` on its own stack.
pub fn enter(cr3: u64, entry: u64) -> ! {
    let (info, block) = (
        DIRECT_MAP + HANDOFF_PAGE + BOOT_INFO_OFFSET,
        DIRECT_MAP + HANDOFF_PAGE,
    );
    // SAFETY: the tables map the switch, the kernel, its stack and the direct map.
    unsafe { switch(info, block, cr3, entry, STACK_TOP) }
}

#[unsafe(naked)]
#[unsafe(link_section = ".text.entry")]
unsafe extern "sysv64" fn switch(info: u64, block: u64, cr3: u64, entry: u64, stack: u64) -> ! {
    naked_asm!(
        ".balign 64",
        "mov cr3, rdx",
        "mov rsp, r8",
        "xor ebp, ebp",
        "call rcx",
        "ud2",
    )
}
