//! What binds the mode into evidence, as published in `docs/binding.md`: the preimage, the event
//! log, and what becomes of a caller's data.

use crate::assert_layout;
use zerocopy::{FromBytes, Immutable, IntoBytes, KnownLayout};

/// A SHA-384 digest.
pub type Digest = [u8; 48];
/// First bytes of a preimage.
pub const MAGIC: u64 = u64::from_le_bytes(*b"TSRABIND");
/// Version of the preimage.
pub const VERSION: u32 = 1;

/// What is hashed by SHA-384 into the binding, 112 bytes.
#[repr(C)]
#[derive(Clone, Copy, Debug, FromBytes, IntoBytes, Immutable, KnownLayout)]
pub struct Preimage {
    /// `MAGIC`.
    pub magic: u64,
    /// `VERSION`.
    pub version: u32,
    /// `Mode` number.
    pub mode: u32,
    /// SHA-384 of the feature table (header and entries); zeros without a paravisor.
    pub features: Digest,
    /// SHA-384 of the event log (header and events).
    pub log: Digest,
}
assert_layout!(Preimage, size 112, version @ 8, mode @ 12, features @ 16, log @ 64);

/// First bytes of an event log.
pub const LOG_MAGIC: u64 = u64::from_le_bytes(*b"TSRAELOG");
/// Version of the event log.
pub const LOG_VERSION: u32 = 1;
/// Events in a log of version 1, in the order of their kinds.
pub const EVENTS: usize = 7;

/// Kinds of events: what was heard, or decided.
pub mod event {
    /// Hypervisor leaves in the order in which they were asked: leaf, EAX, EBX, ECX, EDX, u32 each.
    pub const LEAVES: u32 = 1;
    /// The isolation MSR, u64; nothing where reading it raised #GP.
    pub const ISOLATION_MSR: u32 = 2;
    /// The page of the memory map.
    pub const MEMORY_MAP: u32 = 3;
    /// The page of the processor count.
    pub const PROCESSORS: u32 = 4;
    /// The page of the MADT.
    pub const MADT: u32 = 5;
    /// The page of the command line.
    pub const COMMAND_LINE: u32 = 6;
    /// The decision: `Mode` and `HostProfile` numbers, u32 each.
    pub const DECISION: u32 = 7;
}

/// One event.
#[repr(C)]
#[derive(Clone, Copy, Debug, PartialEq, Eq, FromBytes, IntoBytes, Immutable, KnownLayout)]
pub struct Event {
    /// `event`.
    pub kind: u32,
    /// Bytes that were hashed.
    pub length: u32,
    /// SHA-384 of these bytes.
    pub digest: Digest,
}
assert_layout!(Event, size 56, length @ 4, digest @ 8);

/// The event log, written by the stub of VMPL 0 or L1.
#[repr(C)]
#[derive(Clone, Copy, Debug, FromBytes, IntoBytes, Immutable, KnownLayout)]
pub struct EventLog {
    /// `LOG_MAGIC`.
    pub magic: u64,
    /// `LOG_VERSION`.
    pub version: u32,
    /// Events that follow.
    pub count: u32,
    /// Them.
    pub events: [Event; EVENTS],
}
assert_layout!(EventLog, size 408, version @ 8, count @ 12, events @ 16);

/// Last 16 bytes of REPORT_DATA in a report over a caller's data; zeros in the first report.
pub const REPORT_TAG: [u8; 16] = *b"tessera evidence";
/// The RTMR that the binding extends. UEFI 2.10, 38.4.1 gives 0 to 2 their uses (PCR 1 and 7,
/// 2 to 6, 8 to 15), and leaves 3.
pub const RTMR: u8 = 3;

/// Kinds of evidence.
pub mod evidence {
    /// `snp::report::AttestationReport`, VMPL 0.
    pub const SNP_REPORT: u32 = 1;
    /// `tdx::report::TdReport`, still to be quoted by the host.
    pub const TD_REPORT: u32 = 2;
}

/// In front of evidence in the output page of the paravisor's service.
#[repr(C)]
#[derive(Clone, Copy, Debug, PartialEq, Eq, FromBytes, IntoBytes, Immutable, KnownLayout)]
pub struct EvidenceHeader {
    /// `evidence`.
    pub kind: u32,
    /// Bytes of evidence behind this header.
    pub length: u32,
    /// Zero.
    pub reserved: u64,
}
assert_layout!(EvidenceHeader, size 16, length @ 4, reserved @ 8);
