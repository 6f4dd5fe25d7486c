//! Metadata field identifiers. Source: 348551, "MD_FIELD_ID": bits 23:0 code, 33:32 element
//! size (0 to 3: 1, 2, 4, 8 bytes), 37:34 last element, 46:38 last field, 51 write mask valid,
//! 54:52 context, 61:56 class, 63 not an architectural VMCS field. A read or write of one
//! element ignores context, size and bits 51:50; reserved bits and bits 46:34 must be 0. The
//! identifiers and masks below were checked against the tables that Intel's TDX module 1.5 is
//! generated from.

/// Module: vendor.
pub const SYS_VENDOR: u64 = 0x0800_0002_0000_0000;
/// Module: build date, decimal YYYYMMDD.
pub const SYS_BUILD_DATE: u64 = 0x8800_0002_0000_0001;
/// Module: build number.
pub const SYS_BUILD: u64 = 0x8800_0001_0000_0002;
/// Module: minor version.
pub const SYS_MINOR: u64 = 0x0800_0001_0000_0003;
/// Module: major version.
pub const SYS_MAJOR: u64 = 0x0800_0001_0000_0004;
/// Module: features. Bits 3 TDG.VP.RD and WR, 5 TDG.VP.CPUIDVE.SET, 7 TD partitioning, 8 TDG.MR.VERIFYREPORT.
pub const SYS_FEATURES0: u64 = 0x0A00_0003_0000_0008;

/// Context: TD.
pub const CONTEXT_TD: u64 = 1;
/// Context: TD VCPU.
pub const CONTEXT_VCPU: u64 = 2;
/// Class of the L2 VM 1 VMCS; VM 2 is 8 more, VM 3 is 16 more.
pub const CLASS_VMCS_1: u64 = 36;
/// Class of the L2 VM 1 MSR bitmaps.
pub const CLASS_MSR_BITMAPS_1: u64 = 37;

/// Bits that must be 0 to name one element: reserved, last element, last field.
pub const NOT_SINGLE: u64 = 0xFF << 24 | 0xF << 34 | 0x1FF << 38 | 0x7 << 47 | 1 << 55 | 1 << 62;
/// "No field": RDX of TDG.VP.RD where nothing follows.
pub const NONE: u64 = u64::MAX;

/// TDCS.NUM_VCPUS (32 bits).
pub const NUM_VCPUS: u64 = 0x9010_0002_0000_0001;
/// TDCS.NUM_L2_VMS (16 bits): L2 virtual machines that the TD may run.
pub const NUM_L2_VMS: u64 = 0x9010_0001_0000_0005;
/// TDCS.ATTRIBUTES.
pub const TD_ATTRIBUTES: u64 = 0x1110_0003_0000_0000;
/// TDCS.XFAM.
pub const XFAM: u64 = 0x1110_0003_0000_0001;
/// TDCS.MAX_VCPUS (32 bits).
pub const MAX_VCPUS: u64 = 0x1110_0002_0000_0002;
/// TDCS.GPAW (8 bits): 0 for 48, 1 for 52.
pub const GPAW: u64 = 0x1110_0000_0000_0003;
/// TDCS.CONFIG_FLAGS.
pub const CONFIG_FLAGS: u64 = 0x1110_0003_0000_0016;
/// TDCS.TD_CTLS.
pub const TD_CTLS: u64 = 0x1110_0003_0000_0017;
/// TDCS.NOTIFY_ENABLES: bit 0, #VE where the host single-steps.
pub const NOTIFY_ENABLES: u64 = 0x9110_0003_0000_0010;
/// TDCS.MRTD, the first of 6 elements.
pub const MRTD: u64 = 0x1310_0003_0000_0000;
/// TDCS.RTMR, the first of 4 times 6 elements.
pub const RTMR: u64 = 0x1310_0003_0000_0040;

/// TDVPS.VCPU_INDEX (32 bits), read-only.
pub const VCPU_INDEX: u64 = 0xA020_0002_0000_0002;
/// TDVPS.L2_CTLS of VM 1; writable bits 2:0.
pub const L2_CTLS_VM1: u64 = 0xA020_0003_0000_0051;
/// TDVPS.TSC_DEADLINE of VM 1, in virtual TSC ticks; all ones: none.
pub const TSC_DEADLINE_VM1: u64 = 0xA020_0003_0000_0059;
/// L2_CTLS: enable shared EPT.
pub const L2_CTLS_SHARED_EPT: u64 = 1 << 0;
/// L2_CTLS: TDG.VP.VMCALL by the L2 goes to the host.
pub const L2_CTLS_TDVMCALL: u64 = 1 << 1;
/// L2_CTLS: some exits become #VE in the L2.
pub const L2_CTLS_EXTENDED_VE: u64 = 1 << 2;
/// Bits of L2_CTLS that L1 may write.
pub const L2_CTLS_WRITABLE: u64 = L2_CTLS_SHARED_EPT | L2_CTLS_TDVMCALL | L2_CTLS_EXTENDED_VE;

/// Field identifier of a VMCS field of L2 VM 1, with the element size that the encoding's width
/// (bits 14:13: 16, 64, 32 bits, natural) says.
pub const fn vmcs1(encoding: u32) -> u64 {
    let size = match encoding >> 13 & 3 {
        0 => 1,
        2 => 2,
        _ => 3,
    };
    encoding as u64 | size << 32 | CONTEXT_VCPU << 52 | CLASS_VMCS_1 << 56
}
const _: () = assert!(vmcs1(0x6802) == 0x2420_0003_0000_6802);
const _: () = assert!(vmcs1(0x0802) == 0x2420_0001_0000_0802);
const _: () = assert!(vmcs1(0x4816) == 0x2420_0002_0000_4816);
const _: () = assert!(vmcs1(0x2012) == 0x2420_0003_0000_2012);

/// Element `index` (0 to 511, 8 bytes each) of L2 VM 1's MSR bitmaps, laid out as VMX's: reads
/// of 0 to 0x1FFF, reads of 0xC000_0000 to 0xC000_1FFF, then writes likewise. A 1 sends the
/// access to L1. All ones at first.
pub const fn msr_bitmap1(index: u64) -> u64 {
    index | 3 << 32 | CONTEXT_VCPU << 52 | CLASS_MSR_BITMAPS_1 << 56
}
const _: () = assert!(msr_bitmap1(0) == 0x2520_0003_0000_0000);

/// TD attributes (TDG.VP.INFO RDX). Source: 348551, table "ATTRIBUTES".
pub mod attributes {
    /// Debug TD.
    pub const DEBUG: u64 = 1 << 0;
    /// Removed pages exit to the host without #VE.
    pub const SEPT_VE_DISABLE: u64 = 1 << 28;
}
