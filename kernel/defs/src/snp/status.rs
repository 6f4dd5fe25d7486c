//! SEV_STATUS and SEV_FEATURES. Source: APM vol. 2, 15.34.10 and table B-4 (VMSA offset 3B0h).

/// SEV_STATUS MSR.
pub const MSR_SEV_STATUS: u32 = 0xC001_0131;
/// SEV_STATUS: SEV enabled.
pub const SEV: u64 = 1 << 0;
/// SEV_STATUS: SEV-ES enabled.
pub const SEV_ES: u64 = 1 << 1;
/// SEV_STATUS: SEV-SNP enabled. Bits 2 and up mirror SEV_FEATURES bits 0 and up.
pub const SEV_SNP: u64 = 1 << 2;
/// SEV_STATUS: vTOM enabled.
pub const STATUS_VTOM: u64 = 1 << 3;
/// SEV_STATUS: ReflectVC enabled.
pub const STATUS_REFLECT_VC: u64 = 1 << 4;
/// SEV_STATUS: AlternateInjection enabled.
pub const STATUS_ALTERNATE_INJECTION: u64 = features::ALTERNATE_INJECTION << 2;

/// SEV_FEATURES bits (VMSA). `SEV_STATUS = 3 | SEV_FEATURES << 2`.
pub mod features {
    /// SNPActive.
    pub const SNP_ACTIVE: u64 = 1 << 0;
    /// vTOM.
    pub const VTOM: u64 = 1 << 1;
    /// ReflectVC.
    pub const REFLECT_VC: u64 = 1 << 2;
    /// RestrictInjection.
    pub const RESTRICTED_INJECTION: u64 = 1 << 3;
    /// AlternateInjection.
    pub const ALTERNATE_INJECTION: u64 = 1 << 4;
    /// DebugSwap.
    pub const DEBUG_SWAP: u64 = 1 << 5;
    /// SecureTsc.
    pub const SECURE_TSC: u64 = 1 << 9;
}

/// CPUID leaf with the C-bit position in EBX[5:0].
pub const CPUID_ENCRYPTION: u32 = 0x8000_001F;
/// EAX of it: the instruction RMPQUERY exists.
pub const RMPQUERY: u32 = 1 << 6;
/// C-bit position that the image is built for (every SNP processor so far).
pub const C_BIT: u32 = 51;
/// vTOM of the lower context: GPAs at or above are shared.
pub const VTOM_BIT: u32 = 46;
/// Guest policy bit 19: debugging allowed (56860, table 9).
pub const POLICY_DEBUG: u64 = 1 << 19;
/// Guest policy bit 17: reserved, must be one (56860, table 9).
pub const POLICY_RESERVED_ONE: u64 = 1 << 17;
/// Guest policy bit 16: SMT allowed (56860, table 9).
pub const POLICY_SMT: u64 = 1 << 16;
