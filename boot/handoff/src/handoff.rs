//! What the stub hands over beside bootloader_api's BootInfo.

use crate::launch::LaunchBlock;
use zerocopy::{FromBytes, Immutable, IntoBytes, KnownLayout};

/// First bytes of a hand-over.
pub const MAGIC: u64 = u64::from_le_bytes(*b"TSRAHAND");

/// Hand-over from the stub to the kernel or paravisor, at `layout::HANDOFF_PAGE` in private
/// memory. RSI of the entry points at it (direct map); RDI at BootInfo.
#[repr(C)]
#[derive(Clone, Copy, Debug, FromBytes, IntoBytes, Immutable, KnownLayout)]
pub struct Handoff {
    /// `MAGIC`.
    pub magic: u64,
    /// `Mode` number that was decided (the lower context's, for a paravisor).
    pub mode: u32,
    /// `HostProfile` number.
    pub profile: u32,
    /// Bits to set in a page-table entry of a private page (the C-bit, or 0).
    pub private_bits: u64,
    /// Bits to set in a page-table entry of a shared page (shared bit or vTOM bit, or 0).
    pub shared_bits: u64,
    /// First free page of the page-table pool (guest physical).
    pub pool_next: u64,
    /// End of the pool.
    pub pool_end: u64,
    /// Memory outside the image comes private (1) or must be made so by the guest (0).
    pub comes_private: u32,
    /// Virtual processors by the host's claim.
    pub vp_count: u32,
    /// PM1a control port for soft off.
    pub pm1a_cnt: u32,
    /// 1: the guest was entered by PVH on plain QEMU.
    pub direct: u32,
    /// For a paravisor: the stub's `entry_lower`, where the lower context starts.
    pub lower_entry: u64,
    /// A paravisor below this kernel publishes `layout::PFE_PAGE` (1).
    pub paravisor_below: u32,
    /// `command_line::Level` number that the host asks for; 0 if it asks for none.
    pub log_level: u32,
    /// `launch::LaunchBlock`, copied from the measured page.
    pub launch: LaunchBlock,
}
const _: () = assert!(core::mem::size_of::<Handoff>() <= 2048);
/// BootInfo stands at this offset of the hand-over page.
pub const BOOT_INFO_OFFSET: u64 = 2048;
