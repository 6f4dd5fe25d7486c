//! Guest messages: how a guest talks to the security processor through the host.
//! Source: 56860 rev. 1.58, SNP_GUEST_REQUEST and tables 18 to 25, 99 to 101. Offsets, types,
//! statuses and what is checked were compared with the firmware's own source, which AMD published
//! (AMD-ASPFW, `sev_rmp.h` and `snp_mcmd_guest_request`), and with Linux `asm/sev.h`.

use super::report::AttestationReport;
use crate::assert_layout;
use zerocopy::{FromBytes, Immutable, IntoBytes, KnownLayout};

/// Guest message header (table 99); the payload follows. Bytes `AAD_OFFSET..` are the additional
/// authenticated data of AES-256-GCM. The firmware
/// does not clear the reserved fields of responses, so nobody may check those.
#[repr(C)]
#[derive(Clone, Copy, Debug, FromBytes, IntoBytes, Immutable, KnownLayout)]
#[allow(missing_docs)]
pub struct MessageHeader {
    /// The tag of AES-256-GCM in the first `TAG` bytes, then zeros.
    pub authtag: [u8; 32],
    pub msg_seqno: u64,
    pub reserved_28: u64,
    pub algo: u8,
    pub hdr_version: u8,
    pub hdr_size: u16,
    pub msg_type: u8,
    pub msg_version: u8,
    /// Bytes of the payload; a multiple of 16, not 0.
    pub msg_size: u16,
    pub reserved_38: u32,
    pub msg_vmpck: u8,
    pub reserved_3d: [u8; 35],
}
assert_layout!(MessageHeader, size 0x60, authtag @ 0, msg_seqno @ 0x20, reserved_28 @ 0x28,
    algo @ AAD_OFFSET, hdr_version @ 0x31, hdr_size @ 0x32, msg_type @ 0x34, msg_version @ 0x35,
    msg_size @ 0x36, reserved_38 @ 0x38, msg_vmpck @ 0x3C, reserved_3d @ 0x3D);

/// Bytes of a header.
pub const HEADER: usize = size_of::<MessageHeader>();
/// First byte of the header that is additional authenticated data.
pub const AAD_OFFSET: usize = 0x30;
/// Bytes of the tag.
pub const TAG: usize = 16;
/// Bytes of the initialisation vector: MSG_SEQNO, little endian, then zeros.
pub const IV: usize = 12;
/// Payload at most: header and payload are one page.
pub const MAX_PAYLOAD: usize = 4096 - HEADER;

/// ALGO: AES-256-GCM (table 101).
pub const ALGO_AES_256_GCM: u8 = 1;
/// HDR_VERSION.
pub const HEADER_VERSION: u8 = 1;
/// MSG_VERSION of the payloads below.
pub const MESSAGE_VERSION: u8 = 1;

/// MSG_TYPE (table 100). A response has the type of its request plus one.
pub mod kind {
    /// MSG_KEY_REQ.
    pub const KEY_REQ: u8 = 3;
    /// MSG_KEY_RSP.
    pub const KEY_RSP: u8 = 4;
    /// MSG_REPORT_REQ.
    pub const REPORT_REQ: u8 = 5;
    /// MSG_REPORT_RSP.
    pub const REPORT_RSP: u8 = 6;
}

/// STATUS of a response payload (tables 20 and 25).
pub mod status {
    /// Success.
    pub const SUCCESS: u32 = 0;
    /// Invalid parameters.
    pub const INVALID_PARAMETERS: u32 = 0x16;
    /// Invalid key selection.
    pub const INVALID_KEY_SELECTION: u32 = 0x27;
}

/// Errors of SNP_GUEST_REQUEST itself, in SW_EXITINFO2[31:0] (numbers: Linux
/// `include/uapi/linux/psp-sev.h`). With any of them there is no response.
pub mod firmware {
    /// INVALID_ADDRESS.
    pub const INVALID_ADDRESS: u32 = 0x09;
    /// BAD_MEASUREMENT: the tag is wrong.
    pub const BAD_MEASUREMENT: u32 = 0x0B;
    /// INVALID_PARAM: header fields or type.
    pub const INVALID_PARAM: u32 = 0x16;
    /// AEAD_OFLOW: the sequence number is not the next, or none is left.
    pub const AEAD_OFLOW: u32 = 0x1D;
}

/// MSG_REPORT_REQ (table 22).
#[repr(C)]
#[derive(Clone, Copy, Debug, FromBytes, IntoBytes, Immutable, KnownLayout)]
pub struct ReportRequest {
    /// REPORT_DATA of the report.
    pub report_data: [u8; 64],
    /// VMPL to put into the report: the requester's or a numerically higher one, at most 3.
    pub vmpl: u32,
    /// Bits 1:0 KEY_SEL: 0 VLEK where installed, else VCEK; 1 VCEK; 2 VLEK.
    pub key_sel: u32,
    /// Zero.
    pub reserved: [u8; 24],
}
assert_layout!(ReportRequest, size 0x60, vmpl @ 0x40, key_sel @ 0x44, reserved @ 0x48);

/// MSG_REPORT_RSP (table 25).
#[repr(C)]
#[derive(Clone, Copy, Debug, FromBytes, IntoBytes, Immutable, KnownLayout)]
pub struct ReportResponse {
    /// `status`.
    pub status: u32,
    /// Bytes of the report.
    pub report_size: u32,
    /// Zero.
    pub reserved: [u8; 24],
    /// The report, signed.
    pub report: AttestationReport,
}
assert_layout!(ReportResponse, size 0x4C0, report_size @ 4, reserved @ 8, report @ 0x20);

/// MSG_KEY_REQ (table 18).
#[repr(C)]
#[derive(Clone, Copy, Debug, FromBytes, IntoBytes, Immutable, KnownLayout)]
pub struct KeyRequest {
    /// Bit 0 ROOT_KEY_SELECT: 0 VCEK (or VLEK), 1 VMRK. Bits 2:1 KEY_SEL as in a report request.
    pub root_key: u32,
    /// Zero.
    pub reserved: u32,
    /// GUEST_FIELD_SELECT, `field`: what is mixed into the key.
    pub fields: u64,
    /// VMPL to mix into the key: the requester's or a numerically higher one, at most 3.
    pub vmpl: u32,
    /// Guest SVN to mix; at most the one of the ID block.
    pub guest_svn: u32,
    /// TCB version to mix; at most CommittedTcb.
    pub tcb_version: u64,
}
assert_layout!(KeyRequest, size 0x20, fields @ 8, vmpl @ 0x10, guest_svn @ 0x14, tcb_version @ 0x18);

/// GUEST_FIELD_SELECT (table 19).
pub mod field {
    /// Guest policy.
    pub const GUEST_POLICY: u64 = 1 << 0;
    /// Image ID.
    pub const IMAGE_ID: u64 = 1 << 1;
    /// Family ID.
    pub const FAMILY_ID: u64 = 1 << 2;
    /// Launch measurement.
    pub const MEASUREMENT: u64 = 1 << 3;
    /// Guest SVN of the request.
    pub const GUEST_SVN: u64 = 1 << 4;
    /// TCB version of the request.
    pub const TCB_VERSION: u64 = 1 << 5;
    /// Every field.
    pub const ALL: u64 = 0x3F;
}

/// MSG_KEY_RSP (table 20).
#[repr(C)]
#[derive(Clone, Copy, FromBytes, IntoBytes, Immutable, KnownLayout)]
pub struct KeyResponse {
    /// `status`.
    pub status: u32,
    /// Zero.
    pub reserved: [u8; 28],
    /// The key.
    pub derived_key: [u8; 32],
}
assert_layout!(KeyResponse, size 0x40, reserved @ 4, derived_key @ 0x20);
