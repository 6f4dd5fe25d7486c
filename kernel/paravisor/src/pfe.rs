//! The paravisor feature enumeration: what this paravisor provides, as `docs/pfe.md` says.

use crate::memory::Memory;
use tessera_defs::hyperv::{self as hv, synic};
use tessera_defs::mode::Mode;
use tessera_defs::pfe::{
    Entry, OWNER, SERVICE_VERSION, TABLE_MAGIC, TableHeader, VERSION, flags, invoke, service,
};
use tessera_defs::port::{COM1, PM1A_CNT};
use tessera_defs::x86::{PAGE_SIZE, x2apic};
use tessera_handoff::layout::PFE_PAGE;
use tessera_objects::apic::io;

const fn entry(service: u32, invoke: u32, flags: u32, first: u32, last: u32) -> Entry {
    Entry {
        service,
        version: SERVICE_VERSION,
        invoke,
        flags,
        first,
        last,
        reserved: 0,
    }
}

const COM: u32 = COM1 as u32;
const PM1A: u32 = PM1A_CNT as u32;
const CALL: u32 = hv::HVCALL_MODIFY_SPARSE_GPA_PAGE_HOST_VISIBILITY as u32;

const EVIDENCE: u32 = hv::HVCALL_EVIDENCE as u32;
const IO_APIC: u32 = (io::PAGE / PAGE_SIZE) as u32;
const START: u32 = hv::HVCALL_START_VP as u32;
const SINT0: u32 = synic::MSR_SINT0;
const SINT15: u32 = SINT0 + synic::SOURCES as u32 - 1;

/// Every service.
pub const SERVICES: [Entry; 19] = [
    entry(
        service::CPUID,
        invoke::CPUID,
        flags::UNENLIGHTENED,
        0,
        u32::MAX,
    ),
    entry(
        service::ISOLATION,
        invoke::CPUID,
        0,
        hv::CPUID_ISOLATION,
        hv::CPUID_ISOLATION,
    ),
    entry(
        service::ISOLATION,
        invoke::MSR,
        0,
        hv::MSR_ISOLATION_CONFIG,
        hv::MSR_ISOLATION_CONFIG,
    ),
    entry(
        service::CONSOLE,
        invoke::PORT,
        flags::UNENLIGHTENED,
        COM,
        COM + 7,
    ),
    entry(service::VISIBILITY, invoke::HYPERCALL, 0, CALL, CALL),
    entry(
        service::TIMER,
        invoke::MSR,
        flags::UNENLIGHTENED,
        0x800,
        0x83F,
    ),
    entry(
        service::SHUTDOWN,
        invoke::PORT,
        flags::UNENLIGHTENED,
        PM1A,
        PM1A,
    ),
    entry(service::HALT, invoke::HLT, flags::UNENLIGHTENED, 0, 0),
    entry(
        service::ACCEPTED_MEMORY,
        invoke::PROPERTY,
        flags::UNENLIGHTENED,
        0,
        0,
    ),
    entry(service::EVIDENCE, invoke::HYPERCALL, 0, EVIDENCE, EVIDENCE),
    entry(service::PROCESSORS, invoke::HYPERCALL, 0, START, START),
    entry(
        service::COMMANDS,
        invoke::MSR,
        flags::UNENLIGHTENED,
        x2apic::ICR,
        x2apic::ICR,
    ),
    entry(
        service::IO_APIC,
        invoke::MEMORY,
        flags::UNENLIGHTENED,
        IO_APIC,
        IO_APIC,
    ),
    entry(
        service::HYPERCALL_PAGE,
        invoke::MSR,
        0,
        hv::MSR_HYPERCALL,
        hv::MSR_HYPERCALL,
    ),
    entry(
        service::CLOCKS,
        invoke::MSR,
        0,
        hv::MSR_TIME_REF_COUNT,
        hv::MSR_APIC_FREQUENCY,
    ),
    entry(
        service::PORTS,
        invoke::PORT,
        flags::UNENLIGHTENED,
        0,
        u16::MAX as u32,
    ),
    entry(
        service::HOST_CALLS,
        invoke::HOST,
        flags::DIRECT_TO_HOST,
        0,
        0,
    ),
    entry(service::SOURCES, invoke::MSR, 0, SINT0, SINT15),
    entry(service::DEVICE_MEMORY, invoke::SHARED, 0, 0, u32::MAX),
];

/// Bytes of the table.
pub const BYTES: usize = size_of::<TableHeader>() + size_of::<[Entry; SERVICES.len()]>();
const _: () = assert!(BYTES <= 4096);

/// EAX..EDX of the leaf that says where the table stands.
pub fn table_leaf() -> [u32; 4] {
    [PFE_PAGE as u32, (PFE_PAGE >> 32) as u32, BYTES as u32, 0]
}

/// Writes the table. The guest gets the page read-only.
pub fn publish(mode: Mode, memory: &Memory) {
    let header = TableHeader {
        magic: TABLE_MAGIC,
        version: VERSION,
        owner: OWNER,
        entries: SERVICES.len() as u32,
        entry_size: size_of::<Entry>() as u32,
        mode: mode as u32,
        reserved: 0,
    };
    let at = PFE_PAGE + size_of::<TableHeader>() as u64;
    memory.write(PFE_PAGE, &header);
    memory.write(at, &SERVICES);
}
