//! Page acceptance and attributes. Source: 348551, TDG.MEM.PAGE.ACCEPT/ATTR; #VE information.

/// Level 0: 4 KiB.
pub const LEVEL_4K: u64 = 0;
/// Level 1: 2 MiB.
pub const LEVEL_2M: u64 = 1;
/// Shared bit of the GPA with GPAW 48.
pub const SHARED_BIT: u32 = 47;
/// GPA width that the image is built for.
pub const GPAW: u64 = 48;

/// GPA_MAPPING (RCX of TDG.MEM.PAGE.ATTR.RD/WR, out): the page is pending.
pub const MAPPING_PENDING: u64 = 1 << 62;

/// GPA_ATTR: 16 bits per VM, L1 in bits 15:0, L2 VM 1 in bits 31:16.
///
/// TDG.MEM.PAGE.ATTR.WR: the fields of L1 and of VMs that do not exist must be 0 in RDX and R8.
/// A VM's field is touched where its VALID is 1 in RDX, and then the bits of R8's field only;
/// all other bits must be 0 where VALID is 0. A page without R, W, Xs and Xu is no page of that
/// VM. W needs R; PWA needs R; bits 14:8 and SVE must be 0. Attributes may be given while the
/// page is pending: they count once it is accepted. A page that is removed loses them.
pub mod attr {
    /// Read.
    pub const R: u64 = 1 << 0;
    /// Write.
    pub const W: u64 = 1 << 1;
    /// Execute, supervisor.
    pub const XS: u64 = 1 << 2;
    /// Execute, user.
    pub const XU: u64 = 1 << 3;
    /// Verify guest paging.
    pub const VGP: u64 = 1 << 4;
    /// Paging-write access.
    pub const PWA: u64 = 1 << 5;
    /// Supervisor shadow stack.
    pub const SSS: u64 = 1 << 6;
    /// Suppress #VE; must be 0 for an L2 VM.
    pub const SUPPRESS_VE: u64 = 1 << 7;
    /// Valid.
    pub const VALID: u64 = 1 << 15;
    /// Shift of the fields of L2 VM 1.
    pub const L2_VM1_SHIFT: u32 = 16;
    /// Everything.
    pub const RWX: u64 = R | W | XS | XU;
    /// In the mask operand (R8), bit 15 of a VM's field: invalidate its EPT.
    pub const MASK_INV_EPT: u64 = 1 << 15;
}

/// Exit qualification of I/O in #VE: bits 2:0 size - 1, 3 IN, 4 string, 5 REP, 31:16 port.
pub mod io {
    /// Direction IN.
    pub const IN: u64 = 1 << 3;
    /// String instruction.
    pub const STRING: u64 = 1 << 4;
    /// REP prefix.
    pub const REP: u64 = 1 << 5;
    /// Port shift.
    pub const PORT_SHIFT: u32 = 16;
}
