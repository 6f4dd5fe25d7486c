//! Launch pages and the launch digest. Source: 56860 rev. 1.58, 8.17 and table 67 (PAGE_INFO).

use crate::assert_layout;
use zerocopy::{FromBytes, Immutable, IntoBytes, KnownLayout};

/// Page types of SNP_LAUNCH_UPDATE (56860, table 65).
pub mod page_type {
    /// Measured page.
    pub const NORMAL: u8 = 1;
    /// Measured VMSA.
    pub const VMSA: u8 = 2;
    /// Measured page of zeros; contents are not hashed.
    pub const ZERO: u8 = 3;
    /// Encrypted, contents not measured.
    pub const UNMEASURED: u8 = 4;
    /// Secrets page.
    pub const SECRETS: u8 = 5;
    /// CPUID page.
    pub const CPUID: u8 = 6;
}

/// What is hashed (SHA-384) for each page: `digest = SHA384(PageInfo)`.
#[repr(C)]
#[derive(Clone, Copy, FromBytes, IntoBytes, Immutable, KnownLayout)]
#[allow(missing_docs)]
pub struct PageInfo {
    pub digest_cur: [u8; 48],
    pub contents: [u8; 48],
    pub length: u16,
    pub page_type: u8,
    pub imi_page: u8,
    pub reserved: u8,
    pub vmpl1_perms: u8,
    pub vmpl2_perms: u8,
    pub vmpl3_perms: u8,
    pub gpa: u64,
}

assert_layout!(PageInfo, size 0x70, contents @ 0x30, length @ 0x60, page_type @ 0x62,
    vmpl3_perms @ 0x67, gpa @ 0x68);
