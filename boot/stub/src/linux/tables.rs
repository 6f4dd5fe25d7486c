//! The zero page: the measured one, completed with what the host claims and the stub checked.

use crate::{claims, memory};
use bootloader_api::info::{MemoryRegion, MemoryRegionKind};
use tessera_defs::refusal::Refusal;
use tessera_handoff::launch::LaunchBlock;
use tessera_handoff::layout::{
    IMAGE_END, IMAGE_START, LINUX_ACPI, LINUX_ACPI_PAGES, LINUX_BOOT_PARAMS,
};
use tessera_handoff::linux::acpi;
use tessera_handoff::linux::zero_page::{ZeroPage, at, e820};

/// The identity map of the first instruction ends here.
const MAPPED: u64 = 1 << 30;

/// Completes the tables for `launch`'s Linux; its entry. Errors: `ComponentInvalid` (image),
/// `MemoryTooSmall`, `MemoryMapInvalid`, `ParameterInvalid` (host).
pub fn prepare(launch: &LaunchBlock, regions: &[MemoryRegion]) -> Result<u64, Refusal> {
    let kernel = &launch.kernel;
    let room = kernel.segments[0];
    let whole = room.phys == kernel.base && kernel.len <= room.len;
    let inside = (kernel.base..kernel.base + kernel.len).contains(&kernel.entry);
    if !whole || !inside || kernel.base < IMAGE_END {
        return Err(Refusal::ComponentInvalid);
    }
    for (start, len) in [
        (room.phys, room.len),
        (launch.bundle.base, launch.bundle.len),
    ] {
        if len != 0 && !usable(regions, start, len) {
            return Err(Refusal::MemoryTooSmall);
        }
    }
    write_acpi()?;
    let mut page = memory::read::<[u8; 4096]>(LINUX_BOOT_PARAMS);
    let mut zero = ZeroPage(&mut page);
    zero.put64(at::ACPI_RSDP, LINUX_ACPI);
    map(&mut zero, regions).ok_or(Refusal::MemoryMapInvalid)?;
    memory::write(LINUX_BOOT_PARAMS, &page);
    Ok(kernel.entry)
}

fn usable(regions: &[MemoryRegion], start: u64, len: u64) -> bool {
    let end = start.saturating_add(len);
    let covers = |region: &MemoryRegion| {
        region.kind == MemoryRegionKind::Usable && region.start <= start && end <= region.end
    };
    end <= MAPPED && regions.iter().any(covers)
}

/// The image stays reserved, but for the ACPI tables.
fn map(zero: &mut ZeroPage<'_>, regions: &[MemoryRegion]) -> Option<()> {
    let tables = (LINUX_ACPI, LINUX_ACPI + LINUX_ACPI_PAGES * 4096);
    let low = |region: &&MemoryRegion| region.start < IMAGE_START;
    let ram = |region: &&MemoryRegion| region.kind == MemoryRegionKind::Usable;
    for region in regions.iter().filter(ram).filter(low) {
        zero.e820(region.start, region.end, e820::RAM)?;
    }
    zero.e820(IMAGE_START, tables.0, e820::RESERVED)?;
    zero.e820(tables.0, tables.1, e820::ACPI)?;
    zero.e820(tables.1, IMAGE_END, e820::RESERVED)?;
    for region in regions.iter().filter(ram).filter(|region| !low(region)) {
        zero.e820(region.start, region.end, e820::RAM)?;
    }
    Some(())
}

/// Linux needs a MADT: without one it finds no processor.
fn write_acpi() -> Result<(), Refusal> {
    let mut buffer = [0; (LINUX_ACPI_PAGES * 4096) as usize];
    let madt = claims::madt().ok_or(Refusal::ParameterInvalid)?;
    acpi::build(&mut buffer, LINUX_ACPI, madt).ok_or(Refusal::ParameterInvalid)?;
    memory::write(LINUX_ACPI, &buffer);
    Ok(())
}
