//! The certificate table of an extended guest request. Source: 56421 rev. 2.04, 4.1.8.1: entries,
//! one of zeros, then the certificates.

use crate::assert_layout;
use zerocopy::{FromBytes, Immutable, IntoBytes, KnownLayout};

/// One entry.
#[repr(C)]
#[derive(Clone, Copy, Debug, FromBytes, IntoBytes, Immutable, KnownLayout)]
#[allow(missing_docs)]
pub struct CertificateEntry {
    /// First three fields little endian.
    pub guid: [u8; 16],
    /// From the start of the table.
    pub offset: u32,
    /// Bytes.
    pub length: u32,
}
assert_layout!(CertificateEntry, size 24, offset @ 16, length @ 20);

/// 63DA758D-E664-4564-ADC5-F4B93BE8ACCD.
pub const VCEK: [u8; 16] = guid(0x63DA_758D, 0xE664, 0x4564, 0xADC5_F4B9_3BE8_ACCD);
/// 4AB7B379-BBAC-4FE4-A02F-05AEF327C782.
pub const ASK: [u8; 16] = guid(0x4AB7_B379, 0xBBAC, 0x4FE4, 0xA02F_05AE_F327_C782);
/// C0B406A4-A803-4952-9743-3FB6014CD0AE.
pub const ARK: [u8; 16] = guid(0xC0B4_06A4, 0xA803, 0x4952, 0x9743_3FB6_014C_D0AE);

const fn guid(first: u32, second: u16, third: u16, rest: u64) -> [u8; 16] {
    let (a, b, c, d) = (
        first.to_le_bytes(),
        second.to_le_bytes(),
        third.to_le_bytes(),
        rest.to_be_bytes(),
    );
    [
        a[0], a[1], a[2], a[3], b[0], b[1], c[0], c[1], d[0], d[1], d[2], d[3], d[4], d[5], d[6],
        d[7],
    ]
}
