//! The secrets page. Source: 56860 rev. 1.58, table 71.

use crate::assert_layout;
use zerocopy::{FromBytes, Immutable, IntoBytes, KnownLayout};

/// What guest software keeps in the secrets page, so that whoever comes next (here: kernel or
/// paravisor after the stub) goes on with it. Source: GHCB specification (56421 rev. 2.01),
/// section 2.7; compared with edk2 `MdePkg/Include/Register/Amd/SnpSecretsPage.h`.
#[repr(C)]
#[derive(Clone, Copy, Debug, FromBytes, IntoBytes, Immutable, KnownLayout)]
#[allow(missing_docs)]
pub struct GuestArea {
    /// Sequence number of the last message under VMPCK 0..3, bits 31:0.
    pub msg_seqno_low: [u32; 4],
    pub ap_jump_table: [u32; 2],
    /// Bits 63:32.
    pub msg_seqno_high: [u32; 4],
    pub reserved: [u8; 22],
    pub version: u16,
    pub usage: [u8; 32],
}
assert_layout!(GuestArea, size 96, ap_jump_table @ 16, msg_seqno_high @ 24, reserved @ 40,
    version @ 62, usage @ 64);

/// Versions of the secrets page that have this layout: 2 (rev. 0.9) to 4. QEMU and KVM guests
/// see what the firmware writes, 3 or 4.
pub const VERSIONS: core::ops::RangeInclusive<u32> = 2..=4;

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
    /// Reserved for guest operating system use; of firmware and kernel.
    pub guest: GuestArea,
    pub vmsa_tweak_bitmap: [u8; 64],
    /// Of an SVSM (58019).
    pub guest_reserved_2: [u8; 32],
    pub tsc_factor: u32,
    pub reserved_164: [u8; 0xE9C],
}

assert_layout!(SecretsPage, size 4096, gosvw @ 0x10, vmpck @ 0x20, guest @ 0xA0,
    vmsa_tweak_bitmap @ 0x100, tsc_factor @ 0x160);
