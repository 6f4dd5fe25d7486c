//! ACPI tables are claims: read with the `acpi` crate, no AML, nothing decided by them alone.
#![allow(unsafe_code)] // the `acpi` crate's handler and search are unsafe to call

use crate::boot::Boot;
use crate::memory;
use acpi::madt::{Madt, MadtEntry};
use acpi::{AcpiHandler, AcpiTables, PhysicalMapping};
use core::ptr::NonNull;
use tessera_handoff::layout::DIRECT_MAP;
use tessera_objects::system::cpu::CPUS;

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

/// What the host claims.
#[derive(Default)]
pub struct Claims {
    /// Address of the first IOAPIC.
    pub ioapic: Option<u64>,
    /// Processors.
    pub count: u32,
    ids: [u32; CPUS + 1],
}

impl Claims {
    /// APIC IDs of the processors, as far as there is room for them.
    pub fn ids(&self) -> impl Iterator<Item = u32> {
        self.ids.iter().copied().take(self.count as usize)
    }
}

/// Reads how many processors the host claims, and its IOAPIC. Garbage is said and ignored.
pub fn read(boot: &Boot) -> Claims {
    let mut claims = Claims::default();
    log::debug!("processors: {} by the loader", boot.handoff.vp_count);
    let Some(rsdp) = boot.rsdp.filter(|rsdp| *rsdp < 1 << 45) else {
        log::info!("acpi: no tables");
        return claims;
    };
    // SAFETY: the handler maps what the crate asks for; it checks signatures and checksums.
    let tables = unsafe { AcpiTables::from_rsdp(Handler, rsdp as usize) };
    let madt = tables
        .as_ref()
        .ok()
        .and_then(|tables| tables.find_table::<Madt>().ok());
    let Some(madt) = madt else {
        log::warn!("acpi: tables ignored, no valid MADT");
        return claims;
    };
    let madt = madt.get();
    for id in madt.entries().filter_map(|entry| processor(&entry)) {
        if let Some(slot) = claims.ids.get_mut(claims.count as usize) {
            *slot = id;
        }
        claims.count += 1;
    }
    log::info!("acpi: the host claims {} processor(s)", claims.count);
    claims.ioapic = madt.entries().find_map(|entry| match entry {
        MadtEntry::IoApic(device) => Some(device.io_apic_address.into()),
        _ => None,
    });
    claims
}

/// The APIC ID of an enabled processor.
fn processor(entry: &MadtEntry<'_>) -> Option<u32> {
    match entry {
        MadtEntry::LocalApic(apic) if apic.flags & 1 == 1 => Some(apic.apic_id.into()),
        MadtEntry::LocalX2Apic(apic) if apic.flags & 1 == 1 => Some(apic.x2apic_id),
        _ => None,
    }
}
