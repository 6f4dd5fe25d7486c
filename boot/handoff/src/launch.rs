//! The launch block: measured into the image, so that its content is the owner's word.

use tessera_defs::assert_layout;
use zerocopy::{FromBytes, Immutable, IntoBytes, KnownLayout};

/// First bytes of a launch block.
pub const MAGIC: u64 = u64::from_le_bytes(*b"TSRALNCH");
/// Version of this layout.
pub const VERSION: u32 = 1;
/// Policy flag: this is the default policy of a developer's build.
pub const FLAG_DEMO: u32 = 1 << 0;
/// Policy flag: debugging by the host is allowed.
pub const FLAG_DEBUG_ALLOWED: u32 = 1 << 1;
/// The guest is Linux: `kernel` is the protected-mode part of a bzImage (its first segment is the
/// room that it needs), `bundle` the initrd; the zero page stands at
/// `layout::LINUX_BOOT_PARAMS`.
pub const FLAG_LINUX: u32 = 1 << 2;
/// With `FLAG_LINUX`: this kernel does not know the table of unaccepted memory, so that all memory
/// is accepted before it runs.
pub const FLAG_ACCEPT_ALL: u32 = 1 << 3;
/// Segments per component at most.
pub const MAX_SEGMENTS: usize = 4;

/// `placement`: whether a paravisor runs.
pub mod placement {
    /// The host's request decides.
    pub const HOST_CHOOSES: u32 = 0;
    /// Never a paravisor.
    pub const DIRECT: u32 = 1;
    /// Always a paravisor.
    pub const PARAVISOR: u32 = 2;
}

/// Segment flags.
pub mod segment {
    /// Writable.
    pub const W: u32 = 1 << 0;
    /// Executable.
    pub const X: u32 = 1 << 1;
}

/// One loaded segment, in place.
#[repr(C)]
#[derive(
    Clone, Copy, Debug, Default, PartialEq, Eq, FromBytes, IntoBytes, Immutable, KnownLayout,
)]
pub struct Segment {
    /// Virtual address, page aligned.
    pub virt: u64,
    /// Guest physical address, page aligned.
    pub phys: u64,
    /// Bytes, a multiple of the page size (file content, then zeros).
    pub len: u64,
    /// `segment` flags.
    pub flags: u32,
    /// Zero.
    pub reserved: u32,
}

/// A component of the image. A length of 0 means absent.
#[repr(C)]
#[derive(
    Clone, Copy, Debug, Default, PartialEq, Eq, FromBytes, IntoBytes, Immutable, KnownLayout,
)]
pub struct Component {
    /// First byte in guest memory.
    pub base: u64,
    /// Bytes.
    pub len: u64,
    /// Virtual entry point (0: none).
    pub entry: u64,
    /// Segments; unused ones have length 0.
    pub segments: [Segment; MAX_SEGMENTS],
    /// SHA-256 of the component as it stands in guest memory (`base..base + len`).
    pub sha256: [u8; 32],
}

/// The launch block, at `layout::LAUNCH_BLOCK`.
#[repr(C)]
#[derive(Clone, Copy, Debug, PartialEq, Eq, FromBytes, IntoBytes, Immutable, KnownLayout)]
pub struct LaunchBlock {
    /// `MAGIC`.
    pub magic: u64,
    /// `VERSION`.
    pub version: u32,
    /// `FLAG_*`.
    pub flags: u32,
    /// Allowed modes: `Mode::bit`.
    pub modes: u32,
    /// `placement`.
    pub placement: u32,
    /// The guest kernel.
    pub kernel: Component,
    /// The paravisor.
    pub paravisor: Component,
    /// The bundle (`crate::bundle`).
    pub bundle: Component,
    /// Commit of the build, ASCII, zero padded.
    pub commit: [u8; 40],
}

assert_layout!(Segment, size 32, phys @ 8, len @ 16, flags @ 24);
assert_layout!(Component, size 184, segments @ 24, sha256 @ 152);
assert_layout!(LaunchBlock, size 616, modes @ 16, placement @ 20, kernel @ 24,
    paravisor @ 208, bundle @ 392, commit @ 576);
