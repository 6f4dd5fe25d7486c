//! VM-execution and VM-entry controls, and what of the L2 VMCS L1 may write. Source: Intel SDM
//! vol. 3, chapter 25; 348551, tables of the L2 VMCS; the masks were checked against Intel's
//! TDX module 1.5.

/// Primary processor-based controls.
pub mod primary {
    /// Interrupt-window exiting.
    pub const INTERRUPT_WINDOW: u32 = 1 << 2;
    /// HLT exiting; always 1 for an L2 VM.
    pub const HLT: u32 = 1 << 7;
    /// RDTSC exiting.
    pub const RDTSC: u32 = 1 << 12;
    /// NMI-window exiting.
    pub const NMI_WINDOW: u32 = 1 << 22;
    /// Unconditional I/O exiting; always 1 for an L2 VM.
    pub const IO: u32 = 1 << 24;
    /// At the start of an L2 VM, without the bits that the processor fixes.
    pub const L2_INITIAL: u32 = 0x9122_0088;
    /// Bits that L1 may write.
    pub const L1_WRITABLE: u32 = 0x48D9_9A04;
}

/// Secondary processor-based controls.
pub mod secondary {
    /// Virtualize x2APIC mode; always 1 for an L2 VM.
    pub const X2APIC: u32 = 1 << 4;
    /// WBINVD exiting; always 1 for an L2 VM.
    pub const WBINVD: u32 = 1 << 6;
    /// Virtual-interrupt delivery; on at first.
    pub const VIRTUAL_INTERRUPTS: u32 = 1 << 9;
    /// Enable VM functions.
    pub const VM_FUNCTIONS: u32 = 1 << 13;
    /// Mode-based execute control for EPT: Xs and Xu are told apart.
    pub const MODE_BASED_EXECUTE: u32 = 1 << 22;
    /// At the start of an L2 VM.
    pub const L2_INITIAL: u32 = 0x1338_B3FA;
    /// Bits that L1 may write.
    pub const L1_WRITABLE: u32 = 0x0C51_3E0C;
}

/// VM-entry controls.
pub mod entry {
    /// IA-32e mode guest; must be EFER.LMA. The only bit that L1 may write.
    pub const IA32E: u32 = 1 << 9;
    /// At the start of an L2 VM, without the bits that the processor fixes.
    pub const L2_INITIAL: u32 = 0x003E_C004;
}

/// Exception bitmap of an L2 VM: #MC is always set and the module's.
pub const EXCEPTION_BITMAP_L1_WRITABLE: u32 = !(1 << 18);
/// Bits of CR0 that L1 may write: PE, MP, EM, TS, ET, WP, AM, PG. NE is fixed 1.
pub const CR0_L1_WRITABLE: u64 = 0x8005_001F;
/// CR0 of an L2 VM at its start.
pub const CR0_L2_INITIAL: u64 = 0x21;
/// Bits of CR4 that L1 may write at most (the TD's configuration takes some away). MCE and
/// VMXE are fixed 1.
pub const CR4_L1_WRITABLE: u64 = 0x03FF_1FBF;
/// CR4 of an L2 VM at its start, as L1 reads it.
pub const CR4_L2_INITIAL: u64 = 0x2040;
/// Bits of EFER that L1 may write: SCE, LME, LMA. NXE is fixed 1.
pub const EFER_L1_WRITABLE: u64 = 0x501;
/// EFER of an L2 VM at its start.
pub const EFER_L2_INITIAL: u64 = 0x901;
