//! The input of `HvCallStartVirtualProcessor`. Source: TLFS 6.0b, 7.8.3 (call), 7.8.2.5
//! (HV_INITIAL_VP_CONTEXT), 7.7 (segment and table registers).

use crate::assert_layout;
use zerocopy::{FromBytes, Immutable, IntoBytes, KnownLayout};

/// HV_X64_SEGMENT_REGISTER. `attributes`: descriptor bits 47:40 in 7:0, bits 55:52 in 15:12, as in the
/// access rights of a VMCS.
#[repr(C)]
#[derive(
    Clone, Copy, Debug, Default, PartialEq, Eq, FromBytes, IntoBytes, Immutable, KnownLayout,
)]
#[allow(missing_docs)]
pub struct SegmentRegister {
    pub base: u64,
    pub limit: u32,
    pub selector: u16,
    pub attributes: u16,
}
assert_layout!(SegmentRegister, size 16, limit @ 8, selector @ 12, attributes @ 14);

/// HV_X64_TABLE_REGISTER.
#[repr(C)]
#[derive(
    Clone, Copy, Debug, Default, PartialEq, Eq, FromBytes, IntoBytes, Immutable, KnownLayout,
)]
#[allow(missing_docs)]
pub struct TableRegister {
    pub pad: [u16; 3],
    pub limit: u16,
    pub base: u64,
}
assert_layout!(TableRegister, size 16, limit @ 6, base @ 8);

/// HV_INITIAL_VP_CONTEXT, 224 bytes: the registers with which a processor starts. All others are as
/// after INIT.
#[repr(C)]
#[derive(
    Clone, Copy, Debug, Default, PartialEq, Eq, FromBytes, IntoBytes, Immutable, KnownLayout,
)]
#[allow(missing_docs)]
pub struct InitialVpContext {
    pub rip: u64,
    pub rsp: u64,
    pub rflags: u64,
    pub cs: SegmentRegister,
    pub ds: SegmentRegister,
    pub es: SegmentRegister,
    pub fs: SegmentRegister,
    pub gs: SegmentRegister,
    pub ss: SegmentRegister,
    pub tr: SegmentRegister,
    pub ldtr: SegmentRegister,
    pub idtr: TableRegister,
    pub gdtr: TableRegister,
    pub efer: u64,
    pub cr0: u64,
    pub cr3: u64,
    pub cr4: u64,
    pub pat: u64,
}
assert_layout!(InitialVpContext, size 224, rsp @ 8, rflags @ 16, cs @ 24, ds @ 40, es @ 56, fs @ 72,
    gs @ 88, ss @ 104, tr @ 120, ldtr @ 136, idtr @ 152, gdtr @ 168, efer @ 184, cr0 @ 192,
    cr3 @ 200, cr4 @ 208, pat @ 216);

/// The whole input, 240 bytes.
#[repr(C)]
#[derive(Clone, Copy, Debug, PartialEq, Eq, FromBytes, IntoBytes, Immutable, KnownLayout)]
pub struct StartVpInput {
    /// `hyperv::PARTITION_SELF`.
    pub partition: u64,
    /// Index of the processor.
    pub vp_index: u32,
    /// Virtual trust level.
    pub target_vtl: u8,
    /// Zero.
    pub reserved: [u8; 3],
    /// What it starts with.
    pub context: InitialVpContext,
}
assert_layout!(StartVpInput, size 240, vp_index @ 8, target_vtl @ 12, reserved @ 13, context @ 16);
