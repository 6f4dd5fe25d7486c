//! The TDX module's CPUID leaf. Source: 348549 (TDX module base), "CPUID virtualization"; the
//! registers are those of the fixed values in Intel's TDX module 1.5.

/// Leaf that the TDX module answers itself, sub-leaf 0; the host is not asked.
pub const LEAF: u32 = 0x21;
/// EBX, ECX, EDX of the leaf: "Inte", "    ", "lTDX" (the text is EBX, EDX, ECX).
pub const SIGNATURE: [u32; 3] = [
    u32::from_le_bytes(*b"Inte"),
    u32::from_le_bytes(*b"    "),
    u32::from_le_bytes(*b"lTDX"),
];
