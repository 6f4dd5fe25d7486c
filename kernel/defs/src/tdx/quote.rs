//! Quotes: the shared buffer of TDVMCALL<GetQuote> (GHCI 348552, 3.3) and version 4 of a quote with an
//! ECDSA-256 signature (Intel "TDX DCAP quoting library API", appendix A.3).

use crate::assert_layout;
use zerocopy::{FromBytes, Immutable, IntoBytes, KnownLayout};

/// Head of the buffer; a TDREPORT comes in behind it, a quote goes out.
#[repr(C)]
#[derive(Clone, Copy, Debug, FromBytes, IntoBytes, Immutable, KnownLayout)]
#[allow(missing_docs)]
pub struct QuoteBuffer {
    /// 1.
    pub version: u64,
    /// `buffer_status`.
    pub status: u64,
    /// Bytes of the TDREPORT.
    pub in_len: u32,
    /// Bytes of the quote.
    pub out_len: u32,
}
assert_layout!(QuoteBuffer, size 24, status @ 8, in_len @ 16, out_len @ 20);

/// Version of the buffer.
pub const BUFFER_VERSION: u64 = 1;

/// Status of the buffer.
pub mod buffer_status {
    /// The quote is there.
    pub const SUCCESS: u64 = 0;
    /// The host works on it.
    pub const IN_FLIGHT: u64 = u64::MAX;
    /// There is none: the buffer, or the report in it.
    pub const ERROR: u64 = 0x8000_0000_0000_0000;
    /// There is no quoting service.
    pub const UNAVAILABLE: u64 = 0x8000_0000_0000_0001;
}

/// Header.
#[repr(C)]
#[derive(Clone, Copy, Debug, FromBytes, IntoBytes, Immutable, KnownLayout)]
#[allow(missing_docs)]
pub struct QuoteHeader {
    /// 4.
    pub version: u16,
    /// 2: ECDSA-256 with curve P-256.
    pub attestation_key_type: u16,
    /// 0x81: TDX.
    pub tee_type: u32,
    pub qe_svn: u16,
    pub pce_svn: u16,
    pub qe_vendor_id: [u8; 16],
    pub user_data: [u8; 20],
}
assert_layout!(QuoteHeader, size 48, tee_type @ 4, qe_vendor_id @ 12, user_data @ 28);

/// TD quote body.
#[repr(C)]
#[derive(Clone, Copy, FromBytes, IntoBytes, Immutable, KnownLayout)]
#[allow(missing_docs)]
pub struct QuoteBody {
    pub tee_tcb_svn: [u8; 16],
    pub mrseam: [u8; 48],
    pub mrsignerseam: [u8; 48],
    pub seam_attributes: [u8; 8],
    pub td_attributes: u64,
    pub xfam: u64,
    pub mrtd: [u8; 48],
    pub mrconfigid: [u8; 48],
    pub mrowner: [u8; 48],
    pub mrownerconfig: [u8; 48],
    pub rtmr: [[u8; 48]; 4],
    pub report_data: [u8; 64],
}
assert_layout!(QuoteBody, size 584, td_attributes @ 120, mrtd @ 136, rtmr @ 328, report_data @ 520);

/// Version of a quote.
pub const VERSION: u16 = 4;
/// Attestation key: ECDSA-256 with curve P-256.
pub const KEY_ECDSA_P256: u16 = 2;
/// TEE type.
pub const TEE_TDX: u32 = 0x81;
/// Intel's quoting enclave, 939A7233-F79C-4CA9-940A-0DB3957F0607.
pub const QE_VENDOR: [u8; 16] = [
    0x93, 0x9A, 0x72, 0x33, 0xF7, 0x9C, 0x4C, 0xA9, 0x94, 0x0A, 0x0D, 0xB3, 0x95, 0x7F, 0x06, 0x07,
];
/// Certification data behind the signature and the key: report of the quoting enclave with its own.
pub const CERTIFICATION_QE_REPORT: u16 = 6;
