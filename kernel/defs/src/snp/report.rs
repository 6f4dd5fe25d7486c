//! Attestation report and guest messages. Source: 56860 rev. 1.58, tables 22, 23, 25, 99, 100.

use crate::assert_layout;
use zerocopy::{FromBytes, Immutable, IntoBytes, KnownLayout};

/// Guest message header (table 99); bytes 0x30..0x60 are the AAD of AES-256-GCM.
#[repr(C)]
#[derive(Clone, Copy, FromBytes, IntoBytes, Immutable, KnownLayout)]
#[allow(missing_docs)]
pub struct MessageHeader {
    pub authtag: [u8; 32],
    pub msg_seqno: u64,
    pub reserved_28: u64,
    pub algo: u8,
    pub hdr_version: u8,
    pub hdr_size: u16,
    pub msg_type: u8,
    pub msg_version: u8,
    pub msg_size: u16,
    pub reserved_38: u32,
    pub msg_vmpck: u8,
    pub reserved_3d: [u8; 35],
}
assert_layout!(MessageHeader, size 0x60, msg_seqno @ 0x20, algo @ 0x30, msg_vmpck @ 0x3C);

/// ALGO: AES-256-GCM.
pub const ALGO_AES_256_GCM: u8 = 1;
/// MSG_TYPE: report request.
pub const MSG_REPORT_REQ: u8 = 5;
/// MSG_TYPE: report response.
pub const MSG_REPORT_RSP: u8 = 6;

/// MSG_REPORT_REQ (table 22).
#[repr(C)]
#[derive(Clone, Copy, FromBytes, IntoBytes, Immutable, KnownLayout)]
#[allow(missing_docs)]
pub struct ReportRequest {
    pub report_data: [u8; 64],
    pub vmpl: u32,
    pub key_sel: u32,
    pub reserved: [u8; 24],
}
assert_layout!(ReportRequest, size 0x60, vmpl @ 0x40);

/// ATTESTATION_REPORT (table 23), version 2.
#[repr(C)]
#[derive(Clone, Copy, FromBytes, IntoBytes, Immutable, KnownLayout)]
#[allow(missing_docs)]
pub struct AttestationReport {
    pub version: u32,
    pub guest_svn: u32,
    pub policy: u64,
    pub family_id: [u8; 16],
    pub image_id: [u8; 16],
    pub vmpl: u32,
    pub signature_algo: u32,
    pub current_tcb: u64,
    pub platform_info: u64,
    pub flags: u32,
    pub reserved_4c: u32,
    pub report_data: [u8; 64],
    pub measurement: [u8; 48],
    pub host_data: [u8; 32],
    pub id_key_digest: [u8; 48],
    pub author_key_digest: [u8; 48],
    pub report_id: [u8; 32],
    pub report_id_ma: [u8; 32],
    pub reported_tcb: u64,
    pub reserved_188: [u8; 24],
    pub chip_id: [u8; 64],
    pub committed_tcb: u64,
    pub current_version: [u8; 4],
    pub committed_version: [u8; 4],
    pub launch_tcb: u64,
    pub reserved_1f8: [u8; 168],
    pub signature: [u8; 512],
}
assert_layout!(AttestationReport, size 0x4A0, policy @ 0x8, vmpl @ 0x30, report_data @ 0x50,
    measurement @ 0x90, host_data @ 0xC0, report_id @ 0x140, reported_tcb @ 0x180,
    chip_id @ 0x1A0, launch_tcb @ 0x1F0, signature @ 0x2A0);
