//! ACPI tables are claims: read with the `acpi` crate, no AML, nothing decided by them alone.
#![allow(unsafe_code)] // the `acpi` crate's handler and search are unsafe to call

use crate::boot::Boot;
use crate::memory;
use acpi::madt::{Madt, MadtEntry};
use acpi::{AcpiHandler, AcpiTables, PhysicalMapping};
use core::ptr::NonNull;
use tessera_handoff::layout::DIRECT_MAP;

/// Tables longer than this are not read.
const LIMIT: usize = 64 * 1024;

#[derive(Clone)]
struct Handler;

impl AcpiHandler for Handler {
    unsafe fn map_physical_region<T>(&self, gpa: usize, len: usize) -> PhysicalMapping<Self, T> {
        let bytes = len.max(size_of::<T>()).min(LIMIT) as u64;
        let virt = if memory::in_image(gpa as u64, bytes) {
            DIRECT_MAP + gpa as u64
        } else {
            memory::map_claim(gpa as u64, bytes).expect("an ACPI table lies nowhere")
        };
        let pointer = NonNull::new(virt as *mut T).expect("mapped addresses are not null");
        // SAFETY: mapped just now, or part of the image's direct map.
        unsafe { PhysicalMapping::new(gpa, pointer, len, bytes as usize, Self) }
    }

    fn unmap_physical_region<T>(_: &PhysicalMapping<Self, T>) {}
}

/// Says how many processors the host claims; the address of the first IOAPIC that it claims.
/// Garbage is said and ignored.
pub fn read(boot: &Boot) -> Option<u64> {
    log::debug!("processors: {} by the loader", boot.handoff.vp_count);
    let Some(rsdp) = boot.rsdp.filter(|rsdp| *rsdp < 1 << 45) else {
        log::info!("acpi: no tables");
        return None;
    };
    // SAFETY: the handler maps what the crate asks for; it checks signatures and checksums.
    let tables = unsafe { AcpiTables::from_rsdp(Handler, rsdp as usize) };
    let madt = tables
        .as_ref()
        .ok()
        .and_then(|tables| tables.find_table::<Madt>().ok());
    let Some(madt) = madt else {
        log::warn!("acpi: tables ignored, no valid MADT");
        return None;
    };
    let madt = madt.get();
    let processors = madt.entries().filter(is_processor).count();
    log::info!("acpi: the host claims {processors} processor(s), 1 is used");
    madt.entries().find_map(|entry| match entry {
        MadtEntry::IoApic(device) => Some(device.io_apic_address.into()),
        _ => None,
    })
}

fn is_processor(entry: &MadtEntry<'_>) -> bool {
    matches!(entry, MadtEntry::LocalApic(_) | MadtEntry::LocalX2Apic(_))
}
