//! GHCB MSR protocol. Source: 56421 rev. 2.04, section 2.3.1 and its tables. GHCBInfo is bits
//! 11:0 of the MSR, GHCBData bits 63:12 unless a request says otherwise.

/// The GHCB MSR.
pub const MSR_GHCB: u32 = 0xC001_0130;
/// GHCBInfo mask.
pub const INFO_MASK: u64 = 0xFFF;

/// SEV information response: bits 63:48 max version, 47:32 min version, 31:24 C-bit.
pub const SEV_INFO_RESPONSE: u64 = 0x001;
/// SEV information request.
pub const SEV_INFO_REQUEST: u64 = 0x002;
/// CPUID request: 63:32 function, 31:30 register (0 EAX .. 3 EDX).
pub const CPUID_REQUEST: u64 = 0x004;
/// CPUID response: 63:32 value, 31:30 register.
pub const CPUID_RESPONSE: u64 = 0x005;
/// AP reset hold request: the processor waits for a startup IPI.
pub const AP_RESET_HOLD_REQUEST: u64 = 0x006;
/// AP reset hold response: 63:12 not zero where a startup IPI ended it.
pub const AP_RESET_HOLD_RESPONSE: u64 = 0x007;
/// Preferred GHCB GPA request.
pub const PREFERRED_GHCB_REQUEST: u64 = 0x010;
/// Preferred GHCB GPA response; all ones in the data: no preference.
pub const PREFERRED_GHCB_RESPONSE: u64 = 0x011;
/// Register GHCB GPA request: 63:12 frame number.
pub const REGISTER_GHCB_REQUEST: u64 = 0x012;
/// Register GHCB GPA response: 63:12 the same frame number, or all ones on failure.
pub const REGISTER_GHCB_RESPONSE: u64 = 0x013;
/// Page-state change request: 55:52 operation, 51:12 frame number.
pub const PSC_REQUEST: u64 = 0x014;
/// Page-state change response: 63:32 error code, 0 = done; bits 31:12 zero.
pub const PSC_RESPONSE: u64 = 0x015;
/// Run VMPL request: 39:32 VMPL.
pub const RUN_VMPL_REQUEST: u64 = 0x016;
/// Run VMPL response: 63:32 error code, 0 = done.
pub const RUN_VMPL_RESPONSE: u64 = 0x017;
/// Hypervisor features request.
pub const HV_FEATURES_REQUEST: u64 = 0x080;
/// Hypervisor features response: 63:12 bitmap.
pub const HV_FEATURES_RESPONSE: u64 = 0x081;
/// Termination request: 15:12 reason set, 23:16 reason.
pub const TERMINATE: u64 = 0x100;
/// Termination reason set: GHCB specification.
pub const TERMINATE_SET_SPEC: u8 = 0;
/// Termination reason set of Tessera's refusals; the reason is the refusal's code.
pub const TERMINATE_SET_TESSERA: u8 = 0x7;

/// Page-state operation: private.
pub const PSC_PRIVATE: u64 = 1;
/// Page-state operation: shared.
pub const PSC_SHARED: u64 = 2;
/// Page-state operation: PSMASH.
pub const PSC_PSMASH: u64 = 3;
/// Page-state operation: UNSMASH.
pub const PSC_UNSMASH: u64 = 4;

/// Hypervisor feature bits. Source: 56421, table 2.
pub mod hv_features {
    /// SEV-SNP supported.
    pub const SNP: u64 = 1 << 0;
    /// AP creation supported.
    pub const AP_CREATION: u64 = 1 << 1;
    /// Restricted injection supported.
    pub const RESTRICTED_INJECTION: u64 = 1 << 2;
    /// Restricted injection timer supported.
    pub const RESTRICTED_INJECTION_TIMER: u64 = 1 << 3;
    /// APIC id list supported.
    pub const APIC_ID_LIST: u64 = 1 << 4;
    /// Multiple VMPLs (SVSM) supported: run-VMPL exists.
    pub const MULTI_VMPL: u64 = 1 << 5;
}
