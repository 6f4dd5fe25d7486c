//! Paravisor Feature Enumeration (PFE) version 1, as published in `docs/pfe.md`.
//!
//! A range of CPUID leaves says that the enumeration exists and where its table stands in
//! paravisor-provided private memory; the table has one entry per service.

use crate::assert_layout;
use zerocopy::{FromBytes, Immutable, IntoBytes, KnownLayout};

/// Leaf: EAX highest leaf of the range, EBX/ECX/EDX = "PFEv" "Tess" "era\0".
pub const CPUID_BASE: u32 = 0x4000_0100;
/// Leaf: EAX version (major 31:16, minor 15:0), EBX owner, ECX number of services, EDX flags.
pub const CPUID_VERSION: u32 = 0x4000_0101;
/// Leaf: EAX low and EBX high half of the table's GPA, ECX bytes of the table.
pub const CPUID_TABLE: u32 = 0x4000_0102;
/// EBX, ECX, EDX of the base leaf.
pub const SIGNATURE: [u32; 3] = [
    u32::from_le_bytes(*b"PFEv"),
    u32::from_le_bytes(*b"Tess"),
    u32::from_le_bytes(*b"era\0"),
];
/// Version 1.1: the evidence service. 1.2: processors and interrupt commands. 1.3: devices, clocks, ports, calls of the
/// host. 1.4: sources of synthetic interrupts, device memory.
pub const VERSION: u32 = 1 << 16 | 4;
/// Version of every service of version 1.
pub const SERVICE_VERSION: u32 = 1 << 16;
/// Owner identifier of this project ("TSRA").
pub const OWNER: u32 = u32::from_le_bytes(*b"TSRA");
/// First bytes of the table.
pub const TABLE_MAGIC: u64 = u64::from_le_bytes(*b"TSRAPFE1");
/// Entries that fit in the one page of a version 1 table.
pub const MAX_ENTRIES: usize = 126;

/// Header of the table, 32 bytes.
#[repr(C)]
#[derive(Clone, Copy, Debug, FromBytes, IntoBytes, Immutable, KnownLayout)]
#[allow(missing_docs)]
pub struct TableHeader {
    pub magic: u64,
    pub version: u32,
    pub owner: u32,
    pub entries: u32,
    /// Bytes of one entry, so that later versions can grow it.
    pub entry_size: u32,
    /// Lower context's `Mode` number.
    pub mode: u32,
    pub reserved: u32,
}
assert_layout!(TableHeader, size 32, version @ 8, owner @ 12, entries @ 16, entry_size @ 20,
    mode @ 24);

/// One service, 32 bytes.
#[repr(C)]
#[derive(Clone, Copy, Debug, PartialEq, Eq, FromBytes, IntoBytes, Immutable, KnownLayout)]
#[allow(missing_docs)]
pub struct Entry {
    /// Service identifier; 31:16 owner space (0 = common), 15:0 service.
    pub service: u32,
    /// Version, major 31:16, minor 15:0.
    pub version: u32,
    /// How it is invoked: `invoke`.
    pub invoke: u32,
    /// `flags`.
    pub flags: u32,
    /// Meaning depends on `invoke`: MSR, leaf, port or hypercall code; first and last.
    pub first: u32,
    pub last: u32,
    pub reserved: u64,
}
assert_layout!(Entry, size 32, invoke @ 8, flags @ 12, first @ 16, last @ 20);

/// Services of version 1.
pub mod service {
    /// CPUID filtering: leaves are answered by the paravisor.
    pub const CPUID: u32 = 1;
    /// The isolation leaf and its MSR alias.
    pub const ISOLATION: u32 = 2;
    /// Port I/O of the first serial port.
    pub const CONSOLE: u32 = 3;
    /// `HvCallModifySparseGpaPageHostVisibility`.
    pub const VISIBILITY: u32 = 4;
    /// x2APIC timer and EOI.
    pub const TIMER: u32 = 5;
    /// ACPI soft off.
    pub const SHUTDOWN: u32 = 6;
    /// HLT until the next interrupt.
    pub const HALT: u32 = 7;
    /// Private memory is accepted before the guest runs.
    pub const ACCEPTED_MEMORY: u32 = 8;
    /// Evidence over the guest's data, since 1.1.
    pub const EVIDENCE: u32 = 9;
    /// `HvCallStartVirtualProcessor`, since 1.2.
    pub const PROCESSORS: u32 = 10;
    /// The x2APIC's interrupt command register: interrupts between processors, INIT and startup, since 1.2.
    pub const COMMANDS: u32 = 11;
    /// IOAPIC, since 1.3.
    pub const IO_APIC: u32 = 12;
    /// The hypercall page, since 1.3.
    pub const HYPERCALL_PAGE: u32 = 13;
    /// Reference counter, frequencies of time stamp and APIC timer, since 1.3.
    pub const CLOCKS: u32 = 14;
    /// Ports that the host answers, since 1.3.
    pub const PORTS: u32 = 15;
    /// Calls that go to the host, since 1.3.
    pub const HOST_CALLS: u32 = 16;
    /// Sources of synthetic interrupts whose interrupts the paravisor passes on, since 1.4.
    pub const SOURCES: u32 = 17;
    /// The host's devices in shared memory, since 1.4.
    pub const DEVICE_MEMORY: u32 = 18;
}

/// How a service is invoked.
pub mod invoke {
    /// CPUID instruction, leaves first..=last.
    pub const CPUID: u32 = 1;
    /// RDMSR/WRMSR, MSRs first..=last.
    pub const MSR: u32 = 2;
    /// IN/OUT, ports first..=last.
    pub const PORT: u32 = 3;
    /// Hyper-V hypercall (VMMCALL / VMCALL), call codes first..=last.
    pub const HYPERCALL: u32 = 4;
    /// HLT instruction.
    pub const HLT: u32 = 5;
    /// Nothing to invoke: a property that holds.
    pub const PROPERTY: u32 = 6;
    /// Loads and stores in private memory, pages first..=last (page numbers), since 1.3.
    pub const MEMORY: u32 = 7;
    /// VMGEXIT (AMD) or TDG.VP.VMCALL (Intel), since 1.3.
    pub const HOST: u32 = 8;
    /// Loads and stores in shared memory where no RAM is, pages first..=last, since 1.4.
    pub const SHARED: u32 = 9;
}

/// Flags of an entry.
pub mod flags {
    /// A guest without any enlightenment may rely on it.
    pub const UNENLIGHTENED: u32 = 1 << 0;
    /// The call must still go straight to the host.
    pub const DIRECT_TO_HOST: u32 = 1 << 1;
}
