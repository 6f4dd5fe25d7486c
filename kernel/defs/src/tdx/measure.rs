//! MRTD. Source: 348549, "Measurement"; 348551, TDH.MEM.PAGE.ADD and TDH.MR.EXTEND: SHA-384
//! over 128-byte headers, and 256-byte chunks for extended content.

/// First 16 bytes of the header of TDH.MEM.PAGE.ADD; bytes 23:16 the GPA, the rest zero.
pub const PAGE_ADD: [u8; 16] = *b"MEM.PAGE.ADD\0\0\0\0";
/// First 16 bytes of the header of TDH.MR.EXTEND; bytes 23:16 the GPA of the chunk.
pub const MR_EXTEND: [u8; 16] = *b"MR.EXTEND\0\0\0\0\0\0\0";
/// Bytes of a header.
pub const HEADER: usize = 128;
/// Bytes of a chunk.
pub const CHUNK: usize = 256;
