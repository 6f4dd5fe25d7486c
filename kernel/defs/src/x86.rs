//! x86-64 numbers that several parts need. Source: AMD64 Architecture Programmer's Manual
//! (APM) vol. 2, publication 24593 rev. 3.42; Intel SDM vol. 3.

/// Bytes in a small page.
pub const PAGE_SIZE: u64 = 4096;
/// Bytes in a large page.
pub const LARGE_PAGE_SIZE: u64 = 2 * 1024 * 1024;

/// IA32_APIC_BASE.
pub const MSR_APIC_BASE: u32 = 0x1B;
/// IA32_PAT.
pub const MSR_PAT: u32 = 0x277;
/// EFER.
pub const MSR_EFER: u32 = 0xC000_0080;
/// STAR.
pub const MSR_STAR: u32 = 0xC000_0081;
/// LSTAR.
pub const MSR_LSTAR: u32 = 0xC000_0082;
/// SFMASK.
pub const MSR_SFMASK: u32 = 0xC000_0084;
/// FS.base.
pub const MSR_FS_BASE: u32 = 0xC000_0100;
/// GS.base.
pub const MSR_GS_BASE: u32 = 0xC000_0101;
/// KernelGSbase.
pub const MSR_KERNEL_GS_BASE: u32 = 0xC000_0102;

/// TSC_AUX.
pub const MSR_TSC_AUX: u32 = 0xC000_0103;

/// EFER bits.
pub mod efer {
    /// System-call extensions.
    pub const SCE: u64 = 1 << 0;
    /// Long mode enable.
    pub const LME: u64 = 1 << 8;
    /// Long mode active.
    pub const LMA: u64 = 1 << 10;
    /// No-execute enable.
    pub const NXE: u64 = 1 << 11;
    /// SVM enable; must be set in every VMSA.
    pub const SVME: u64 = 1 << 12;
}

/// x2APIC registers as MSRs (0x800 + offset / 16). Intel SDM vol. 3, table 11-6.
pub mod x2apic {
    /// Local APIC ID.
    pub const ID: u32 = 0x802;
    /// Version.
    pub const VERSION: u32 = 0x803;
    /// Task priority.
    pub const TPR: u32 = 0x808;
    /// Processor priority.
    pub const PPR: u32 = 0x80A;
    /// End of interrupt.
    pub const EOI: u32 = 0x80B;
    /// Logical destination: follows from the ID.
    pub const LDR: u32 = 0x80D;
    /// Spurious interrupt vector; bit 8 enables the APIC.
    pub const SIVR: u32 = 0x80F;
    /// Interrupt command.
    pub const ICR: u32 = 0x830;
    /// LVT timer; bit 16 masked, bit 17 periodic.
    pub const LVT_TIMER: u32 = 0x832;
    /// Timer initial count.
    pub const INITIAL_COUNT: u32 = 0x838;
    /// Timer current count.
    pub const CURRENT_COUNT: u32 = 0x839;
    /// Timer divide configuration.
    pub const DIVIDE: u32 = 0x83E;
    /// Self IPI.
    pub const SELF_IPI: u32 = 0x83F;
    /// APIC base MSR bits: x2APIC enable.
    pub const BASE_EXTD: u64 = 1 << 10;
    /// APIC base MSR bits: global enable.
    pub const BASE_EN: u64 = 1 << 11;
}

/// Exception vectors.
pub mod vector {
    /// Non-maskable interrupt.
    pub const NMI: u8 = 2;
    /// Invalid opcode.
    pub const UD: u8 = 6;
    /// Double fault.
    pub const DF: u8 = 8;
    /// General protection.
    pub const GP: u8 = 13;
    /// Page fault.
    pub const PF: u8 = 14;
    /// Machine check.
    pub const MC: u8 = 18;
    /// Virtualization exception (Intel).
    pub const VE: u8 = 20;
    /// Hypervisor injection exception (AMD).
    pub const HV: u8 = 28;
    /// VMM communication exception (AMD).
    pub const VC: u8 = 29;
}
