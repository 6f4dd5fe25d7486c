//! TDREPORT. Source: 348551, tables "TDREPORT_STRUCT", "REPORTMACSTRUCT", "TDINFO_STRUCT".

use crate::assert_layout;
use zerocopy::{FromBytes, Immutable, IntoBytes, KnownLayout};

/// REPORTMACSTRUCT.
#[repr(C)]
#[derive(Clone, Copy, FromBytes, IntoBytes, Immutable, KnownLayout)]
#[allow(missing_docs)]
pub struct ReportMac {
    /// 0x81 TDX, subtype, version, reserved.
    pub report_type: [u8; 4],
    pub reserved_004: [u8; 12],
    pub cpu_svn: [u8; 16],
    pub tee_tcb_info_hash: [u8; 48],
    pub tee_info_hash: [u8; 48],
    pub report_data: [u8; 64],
    pub reserved_0c0: [u8; 32],
    pub mac: [u8; 32],
}
assert_layout!(ReportMac, size 256, tee_tcb_info_hash @ 32, tee_info_hash @ 80,
    report_data @ 128, mac @ 224);

/// TDINFO_STRUCT.
#[repr(C)]
#[derive(Clone, Copy, FromBytes, IntoBytes, Immutable, KnownLayout)]
#[allow(missing_docs)]
pub struct TdInfo {
    pub attributes: u64,
    pub xfam: u64,
    pub mrtd: [u8; 48],
    pub mrconfigid: [u8; 48],
    pub mrowner: [u8; 48],
    pub mrownerconfig: [u8; 48],
    pub rtmr: [[u8; 48]; 4],
    pub servtd_hash: [u8; 48],
    pub reserved: [u8; 64],
}
assert_layout!(TdInfo, size 512, mrtd @ 16, rtmr @ 208, servtd_hash @ 400);

/// TDREPORT_STRUCT, 1,024-byte aligned in guest memory.
#[repr(C)]
#[derive(Clone, Copy, FromBytes, IntoBytes, Immutable, KnownLayout)]
#[allow(missing_docs)]
pub struct TdReport {
    pub mac: ReportMac,
    pub tee_tcb_info: [u8; 239],
    pub reserved: [u8; 17],
    pub td_info: TdInfo,
}
assert_layout!(TdReport, size 1024, tee_tcb_info @ 256, td_info @ 512);
