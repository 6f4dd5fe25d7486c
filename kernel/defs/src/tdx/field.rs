//! Metadata field identifiers. Source: 348551, "MD_FIELD_ID": bits 23:0 code, 33:32 element
//! size, 37:34 last element, 46:38 last field, 51 write mask valid, 54:52 context, 61:56 class.

/// Context: TD.
pub const CONTEXT_TD: u64 = 1;
/// Context: TD VCPU.
pub const CONTEXT_VCPU: u64 = 2;
/// Class of the L2 VM 1 VMCS.
pub const CLASS_VMCS_1: u64 = 36;

/// TDCS.NUM_L2_VMS (16 bits): L2 virtual machines that the TD may run.
pub const NUM_L2_VMS: u64 = 0x9010_0001_0000_0005;
/// TDCS.ATTRIBUTES.
pub const TD_ATTRIBUTES: u64 = 0x1110_0003_0000_0000;
/// TDVPS.L2_CTLS of VM 1: bit 0 shared EPT, bit 1 TDVMCALL by the L2 goes to the host.
pub const L2_CTLS_VM1: u64 = 0xA020_0003_0000_0051;
/// L2_CTLS: enable shared EPT.
pub const L2_CTLS_SHARED_EPT: u64 = 1 << 0;
/// L2_CTLS: enable direct TDVMCALL.
pub const L2_CTLS_TDVMCALL: u64 = 1 << 1;

/// Field identifier of a VMCS field of L2 VM 1, 64-bit element.
pub const fn vmcs1(encoding: u32) -> u64 {
    encoding as u64 | 3 << 32 | CONTEXT_VCPU << 52 | CLASS_VMCS_1 << 56
}
const _: () = assert!(vmcs1(0x6802) == 0x2420_0003_0000_6802);

/// TD attributes (TDG.VP.INFO RDX). Source: 348551, table "ATTRIBUTES".
pub mod attributes {
    /// Debug TD.
    pub const DEBUG: u64 = 1 << 0;
    /// Removed pages exit to the host without #VE.
    pub const SEPT_VE_DISABLE: u64 = 1 << 28;
}
