//! #VC error codes: SVM exit codes. Source: APM vol. 2, appendix C, and 56421 table 6.

/// Write of CR0..CR15: `CR_WRITE + n`.
pub const CR_WRITE: u64 = 0x10;
/// Read of DR7.
pub const DR7_READ: u64 = 0x27;
/// Write of DR7.
pub const DR7_WRITE: u64 = 0x37;
/// Physical interrupt.
pub const INTR: u64 = 0x60;
/// RDTSC.
pub const RDTSC: u64 = 0x6E;
/// RDPMC.
pub const RDPMC: u64 = 0x6F;
/// CPUID.
pub const CPUID: u64 = 0x72;
/// INVD.
pub const INVD: u64 = 0x76;
/// HLT.
pub const HLT: u64 = 0x78;
/// Port I/O; EXITINFO1 in `io`.
pub const IOIO: u64 = 0x7B;
/// MSR access; EXITINFO1 0 read, 1 write.
pub const MSR: u64 = 0x7C;
/// Shutdown (triple fault).
pub const SHUTDOWN: u64 = 0x7F;
/// VMMCALL.
pub const VMMCALL: u64 = 0x81;
/// RDTSCP.
pub const RDTSCP: u64 = 0x87;
/// WBINVD.
pub const WBINVD: u64 = 0x89;
/// MONITOR.
pub const MONITOR: u64 = 0x8A;
/// MWAIT.
pub const MWAIT: u64 = 0x8B;
/// XSETBV.
pub const XSETBV: u64 = 0x8D;
/// Nested page fault (MMIO).
pub const NPF: u64 = 0x400;
/// VMGEXIT.
pub const VMGEXIT: u64 = 0x403;
/// Page not validated (#VC only).
pub const PAGE_NOT_VALIDATED: u64 = 0x404;
/// Exit code in the VMSA that says "nothing here": VMPL 0 writes it back after reading.
pub const INVALID: u64 = u64::MAX;

/// IOIO EXITINFO1 fields. Source: APM vol. 2, 15.10.2.
pub mod io {
    /// 1 = IN.
    pub const IN: u64 = 1 << 0;
    /// String instruction.
    pub const STRING: u64 = 1 << 2;
    /// REP prefix.
    pub const REP: u64 = 1 << 3;
    /// 8-bit operand.
    pub const SZ8: u64 = 1 << 4;
    /// 16-bit operand.
    pub const SZ16: u64 = 1 << 5;
    /// 32-bit operand.
    pub const SZ32: u64 = 1 << 6;
    /// 16-bit address.
    pub const A16: u64 = 1 << 7;
    /// 32-bit address.
    pub const A32: u64 = 1 << 8;
    /// 64-bit address.
    pub const A64: u64 = 1 << 9;
    /// Effective segment, 3 bits (DS = 3).
    pub const SEG_SHIFT: u32 = 10;
    /// Port number, 16 bits.
    pub const PORT_SHIFT: u32 = 16;
}

/// Event-injection format of VMCB EVENTINJ and VMSA EventInject. Source: APM vol. 2, 15.20.
pub mod event {
    /// Valid.
    pub const VALID: u64 = 1 << 31;
    /// Error code valid; the code stands in bits 63:32.
    pub const ERROR_VALID: u64 = 1 << 11;
    /// Type field shift.
    pub const TYPE_SHIFT: u32 = 8;
    /// External interrupt.
    pub const TYPE_INTR: u64 = 0;
    /// NMI.
    pub const TYPE_NMI: u64 = 2;
    /// Exception.
    pub const TYPE_EXCEPTION: u64 = 3;
    /// Software interrupt.
    pub const TYPE_SOFT: u64 = 4;
}
