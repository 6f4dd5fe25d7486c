//! The secrets page. Source: 56860 rev. 1.58, table 71.

use crate::assert_layout;
use zerocopy::{FromBytes, Immutable, IntoBytes, KnownLayout};

/// Secrets page, 4 KiB, filled in by the security processor at launch.
#[repr(C)]
#[derive(Clone, Copy, FromBytes, IntoBytes, Immutable, KnownLayout)]
#[allow(missing_docs)]
pub struct SecretsPage {
    pub version: u32,
    /// Bit 0: IMI.
    pub flags: u32,
    pub fms: u32,
    pub reserved_00c: u32,
    pub gosvw: [u8; 16],
    /// VM platform communication keys of VMPL 0..3, 256 bits each.
    pub vmpck: [[u8; 32]; 4],
    /// Reserved for guest operating system use.
    pub guest_reserved: [u8; 96],
    pub vmsa_tweak_bitmap: [u8; 64],
    pub guest_reserved_2: [u8; 32],
    pub tsc_factor: u32,
    pub reserved_164: [u8; 0xE9C],
}

assert_layout!(SecretsPage, size 4096, gosvw @ 0x10, vmpck @ 0x20, guest_reserved @ 0xA0,
    vmsa_tweak_bitmap @ 0x100, tsc_factor @ 0x160);
