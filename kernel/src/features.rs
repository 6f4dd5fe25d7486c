//! The paravisor feature enumeration, read where a paravisor of ours is below. It is the
//! paravisor's word; elsewhere the leaves are the host's and are not read.

use crate::boot::Boot;
use crate::{host, interrupts, memory, windows};
use tessera_defs::pfe::{
    CPUID_BASE, CPUID_TABLE, CPUID_VERSION, Entry, MAX_ENTRIES, SIGNATURE, TABLE_MAGIC,
    TableHeader, invoke, service,
};
use tessera_defs::refusal::Refusal;
use tessera_defs::x86::PAGE_SIZE;
use zerocopy::FromBytes;

/// Reads and shows it; where the paravisor's IOAPIC stands, in private memory, if it has one. A paravisor
/// that publishes nonsense ends the boot.
pub fn read(boot: &Boot) -> Option<u64> {
    if boot.handoff.paravisor_below == 0 {
        return None;
    }
    let Some((version, owner, services, io_apic)) = enumerate() else {
        host::refuse(Refusal::PfeInvalid)
    };
    let (major, minor) = (version >> 16, version & 0xFFFF);
    let owner = owner.to_le_bytes();
    let owner = core::str::from_utf8(&owner).unwrap_or("?");
    log::info!("pfe: version {major}.{minor} owner {owner}, {services} services");
    io_apic
}

/// Version, owner, number of services and the IOAPIC's address; `None` where leaf and table do not agree.
fn enumerate() -> Option<(u32, u32, usize, Option<u64>)> {
    let leaf = |leaf| host::with(|host| host.cpuid(leaf, 0))?.ok();
    let [last, signature @ ..] = leaf(CPUID_BASE)?;
    if signature != SIGNATURE || last < CPUID_TABLE {
        return None;
    }
    let [version, owner, count, _] = leaf(CPUID_VERSION)?;
    let [low, high, len, _] = leaf(CPUID_TABLE)?;
    let gpa = u64::from(low) | u64::from(high) << 32;
    if !memory::in_image(gpa, len.into()) || count as usize > MAX_ENTRIES {
        return None;
    }
    let table = windows::physical(gpa, len as usize);
    let (header, rest) = TableHeader::read_from_prefix(table).ok()?;
    let agrees = header.magic == TABLE_MAGIC
        && (header.version, header.owner, header.entries) == (version, owner, count)
        && header.entry_size as usize >= size_of::<Entry>()
        && rest.len() == count as usize * header.entry_size as usize;
    let known = rest.chunks_exact((header.entry_size as usize).max(1));
    let mut services = 0;
    let mut io_apic = None;
    for (entry, _) in known.filter_map(|bytes| Entry::read_from_prefix(bytes).ok()) {
        services += 1;
        match (entry.service, entry.invoke) {
            (service::IO_APIC, invoke::MEMORY) => {
                io_apic = Some(u64::from(entry.first) * PAGE_SIZE);
            }
            (service::SOURCES, invoke::MSR) => interrupts::admit_by(entry.first),
            _ => {}
        }
    }
    (agrees && services == count as usize).then_some((version, owner, services, io_apic))
}
