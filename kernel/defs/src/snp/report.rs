//! The attestation report. Source: 56860 rev. 1.58, table 23 (version 2) and table 115 (signature).
//! Checked by a report of real hardware and its VCEK (`tests/vectors/snp/report_milan.json`).

use crate::assert_layout;
use zerocopy::{FromBytes, Immutable, IntoBytes, KnownLayout};

/// ATTESTATION_REPORT, version 2. Versions 3 and up use some of the reserved bytes.
#[repr(C)]
#[derive(Clone, Copy, Debug, FromBytes, IntoBytes, Immutable, KnownLayout)]
#[allow(missing_docs)]
pub struct AttestationReport {
    pub version: u32,
    pub guest_svn: u32,
    /// Guest policy, `status::POLICY_*`.
    pub policy: u64,
    pub family_id: [u8; 16],
    pub image_id: [u8; 16],
    /// The VMPL of the request, which the requester chose.
    pub vmpl: u32,
    pub signature_algo: u32,
    pub current_tcb: u64,
    pub platform_info: u64,
    /// Bit 0 AUTHOR_KEY_EN, 1 MASK_CHIP_KEY, 4:2 SIGNING_KEY (0 VCEK, 1 VLEK, 7 none).
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
    /// Over the bytes before it.
    pub signature: Signature,
}
assert_layout!(AttestationReport, size 0x4A0, guest_svn @ 4, policy @ 8, family_id @ 0x10,
    image_id @ 0x20, vmpl @ 0x30, signature_algo @ 0x34, current_tcb @ 0x38,
    platform_info @ 0x40, flags @ 0x48, reserved_4c @ 0x4C, report_data @ 0x50,
    measurement @ 0x90, host_data @ 0xC0, id_key_digest @ 0xE0, author_key_digest @ 0x110,
    report_id @ 0x140, report_id_ma @ 0x160, reported_tcb @ 0x180, reserved_188 @ 0x188,
    chip_id @ 0x1A0, committed_tcb @ 0x1E0, current_version @ 0x1E8, committed_version @ 0x1EC,
    launch_tcb @ 0x1F0, reserved_1f8 @ 0x1F8, signature @ SIGNED);

/// Bytes of a report that are signed.
pub const SIGNED: usize = 0x2A0;
/// SIGNATURE_ALGO: ECDSA on P-384 with SHA-384.
pub const ALGO_ECDSA_P384_SHA384: u32 = 1;
/// Report version that this layout is.
pub const VERSION: u32 = 2;

/// Signature of ECDSA on P-384: both numbers little endian, 48 bytes used of 72.
#[repr(C)]
#[derive(Clone, Copy, Debug, FromBytes, IntoBytes, Immutable, KnownLayout)]
#[allow(missing_docs)]
pub struct Signature {
    pub r: [u8; 72],
    pub s: [u8; 72],
    pub reserved: [u8; 368],
}
assert_layout!(Signature, size 512, r @ 0, s @ 72, reserved @ 144);
