//! VMX numbers as a TD sees them in #VE information, L2 exits and the L2 VMCS.
//! Source: Intel SDM vol. 3, appendix C (exit reasons), chapters 25 and 28 (fields).

pub mod control;
pub mod vmcs;

/// Exception or NMI.
pub const EXCEPTION: u32 = 0;
/// External interrupt.
pub const EXTERNAL_INTERRUPT: u32 = 1;
/// Triple fault.
pub const TRIPLE_FAULT: u32 = 2;
/// Interrupt window.
pub const INTERRUPT_WINDOW: u32 = 7;
/// NMI window.
pub const NMI_WINDOW: u32 = 8;
/// CPUID.
pub const CPUID: u32 = 10;
/// HLT.
pub const HLT: u32 = 12;
/// INVD.
pub const INVD: u32 = 13;
/// RDTSC.
pub const RDTSC: u32 = 16;
/// VMCALL.
pub const VMCALL: u32 = 18;
/// Control-register access.
pub const CR_ACCESS: u32 = 28;
/// Debug-register access.
pub const DR_ACCESS: u32 = 29;
/// I/O instruction.
pub const IO: u32 = 30;
/// RDMSR.
pub const MSR_READ: u32 = 31;
/// WRMSR.
pub const MSR_WRITE: u32 = 32;
/// VM entry failed: the guest state is invalid (with `ENTRY_FAILURE`).
pub const INVALID_GUEST_STATE: u32 = 33;
/// MWAIT.
pub const MWAIT: u32 = 36;
/// MONITOR.
pub const MONITOR: u32 = 39;
/// PAUSE.
pub const PAUSE: u32 = 40;
/// Virtualised EOI: the end of an interrupt that L1 wants to see; the vector is the qualification.
pub const VIRTUALIZED_EOI: u32 = 45;
/// EPT violation.
pub const EPT_VIOLATION: u32 = 48;
/// The preemption timer expired (an L2 VM's TSC deadline).
pub const PREEMPTION_TIMER: u32 = 52;
/// WBINVD.
pub const WBINVD: u32 = 54;
/// XSETBV.
pub const XSETBV: u32 = 55;
/// TDCALL executed by an L2 VM.
pub const TDCALL: u32 = 77;

/// Bits of an exit reason that say why.
pub const BASIC_REASON: u32 = 0xFFFF;
/// Bit of an exit reason: the VM entry failed, no instruction of the guest ran.
pub const ENTRY_FAILURE: u32 = 1 << 31;

/// Event information: entry interruption, exit interruption and IDT-vectoring. SDM vol. 3,
/// tables "Format of the VM-Entry Interruption-Information Field" and its two siblings.
pub mod event {
    /// Vector.
    pub const VECTOR: u32 = 0xFF;
    /// Bits of the type.
    pub const TYPE: u32 = 7 << 8;
    /// External interrupt.
    pub const EXTERNAL: u32 = 0;
    /// NMI.
    pub const NMI: u32 = 2 << 8;
    /// Hardware exception.
    pub const EXCEPTION: u32 = 3 << 8;
    /// Software interrupt (INT n).
    pub const SOFTWARE_INTERRUPT: u32 = 4 << 8;
    /// Privileged software exception (INT1).
    pub const PRIVILEGED_SOFTWARE: u32 = 5 << 8;
    /// Software exception (INT3, INTO).
    pub const SOFTWARE_EXCEPTION: u32 = 6 << 8;
    /// An error code comes with it.
    pub const ERROR_CODE: u32 = 1 << 11;
    /// Valid.
    pub const VALID: u32 = 1 << 31;
    /// Bits that must be 0 in entry interruption information.
    pub const RESERVED: u32 = 0x7FFF_F000;
}

/// Guest interruptibility state. SDM vol. 3, table "Format of Interruptibility State".
pub mod interruptibility {
    /// Blocking by STI.
    pub const STI: u32 = 1 << 0;
    /// Blocking by MOV SS.
    pub const MOV_SS: u32 = 1 << 1;
    /// Blocking by NMI.
    pub const NMI: u32 = 1 << 3;
}

/// Exit qualification of an EPT violation. SDM vol. 3, table of the same name.
pub mod ept {
    /// A data read.
    pub const READ: u64 = 1 << 0;
    /// A data write.
    pub const WRITE: u64 = 1 << 1;
    /// An instruction fetch.
    pub const FETCH: u64 = 1 << 2;
    /// The page was readable.
    pub const READABLE: u64 = 1 << 3;
    /// The page was writable.
    pub const WRITABLE: u64 = 1 << 4;
    /// The page was executable (for supervisor-mode addresses under mode-based control).
    pub const EXECUTABLE: u64 = 1 << 5;
    /// The page was executable for user-mode addresses.
    pub const USER_EXECUTABLE: u64 = 1 << 6;
    /// The linear address is valid.
    pub const LINEAR_VALID: u64 = 1 << 7;
    /// The access was to the translation of the linear address, not to a paging structure.
    pub const TRANSLATED: u64 = 1 << 8;
}

/// Segment access rights that have no place in a descriptor: unusable.
pub const SEGMENT_UNUSABLE: u32 = 1 << 16;
