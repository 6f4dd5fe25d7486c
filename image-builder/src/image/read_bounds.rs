//! The limits that a file from outside must keep, and the one error for each.

use crate::{Failure, Result};
use igvm_defs::IgvmVariableHeaderType as Kind;
use tessera_defs::x86::PAGE_SIZE;
use tessera_handoff::igvm::{Error, Header};

/// The largest file, in bytes.
pub const LARGEST: u64 = 256 << 20;
/// The largest parameter area, in bytes.
const LARGEST_AREA: u64 = 1 << 20;
/// Pages at most (4 GiB of guest memory).
const MOST_PAGES: usize = 1 << 20;
/// Guest physical addresses end here (52 bits).
const GPA_END: u64 = 1 << 52;
/// Bytes of the fixed header; the checksum is its last word.
const FIXED: usize = 24;

/// The file is not what it should be.
pub fn broken(what: &str) -> Failure {
    Failure::user(
        format!("the file {what}"),
        "name an undamaged tessera.igvm, or build one with `tessera build`",
    )
}

/// The file's size.
pub fn size(len: u64) -> Result<()> {
    if len > LARGEST {
        return Err(broken("is larger than 256 MiB"));
    }
    Ok(())
}

/// An error of the header walker.
pub fn walk(error: Error) -> Failure {
    match error {
        Error::NotIgvm => broken("is no IGVM file"),
        Error::Version(version) => broken(&format!(
            "has version {version} of the IGVM format, only version 1 is read"
        )),
        Error::Truncated => broken("is a truncated IGVM file"),
    }
}

/// Length and checksum of a file whose fixed header was parsed.
pub fn whole(bytes: &[u8]) -> Result<()> {
    let word = |at: usize| u32::from_le_bytes(std::array::from_fn(|i| bytes[at + i]));
    if word(16) as usize != bytes.len() {
        return Err(broken("is longer than its header says"));
    }
    let mut fixed = bytes[..FIXED].to_vec();
    fixed[20..].fill(0);
    let start = word(8) as usize;
    let headers = &bytes[start..start + word(12) as usize];
    if crc32(&[&fixed, headers]) != word(20) {
        return Err(broken("has a wrong checksum: its headers were changed"));
    }
    Ok(())
}

/// Header content long enough for the fields that are read.
pub fn header(header: &Header<'_>) -> Result<()> {
    let least = match Kind(header.kind) {
        Kind::IGVM_VHT_SUPPORTED_PLATFORM
        | Kind::IGVM_VHT_GUEST_POLICY
        | Kind::IGVM_VHT_PARAMETER_AREA
        | Kind::IGVM_VHT_PARAMETER_INSERT => 16,
        Kind::IGVM_VHT_VP_CONTEXT => 20,
        Kind::IGVM_VHT_PAGE_DATA => 24,
        _ => 0,
    };
    if header.data.len() < least {
        return Err(broken("has a header that is too short"));
    }
    Ok(())
}

/// A parameter area's length.
pub fn area(len: u64) -> Result<u64> {
    if len == 0 || len > LARGEST_AREA || !len.is_multiple_of(PAGE_SIZE) {
        return Err(broken("has a parameter area of no usable size"));
    }
    Ok(len)
}

/// A page's address.
pub fn gpa(gpa: u64) -> Result<u64> {
    if !gpa.is_multiple_of(PAGE_SIZE) || gpa >= GPA_END {
        return Err(broken(&format!(
            "loads a page at {gpa:#x}, which is no page address"
        )));
    }
    Ok(gpa)
}

/// The number of pages so far.
pub fn count(pages: usize) -> Result<()> {
    if pages > MOST_PAGES {
        return Err(broken("loads more than 4 GiB"));
    }
    Ok(())
}

/// Addresses and masks of all pages: no platform may load a page twice, since what stands
/// there then depends on the loader.
pub fn once(mut pages: Vec<(u64, u32)>) -> Result<()> {
    pages.sort_unstable();
    for same in pages.chunk_by(|a, b| a.0 == b.0) {
        let mut seen = 0;
        for (gpa, mask) in same {
            if seen & mask != 0 {
                return Err(broken(&format!("loads the page at {gpa:#x} twice")));
            }
            seen |= mask;
        }
    }
    Ok(())
}

/// CRC-32 (IEEE 802.3, reflected) over the concatenation.
fn crc32(parts: &[&[u8]]) -> u32 {
    let step = |crc: u32, byte: &u8| {
        (0..8).fold(crc ^ u32::from(*byte), |crc, _| {
            (crc >> 1) ^ (0xEDB8_8320 * (crc & 1))
        })
    };
    !parts.iter().copied().flatten().fold(u32::MAX, step)
}

#[cfg(test)]
mod tests {
    #[test]
    fn the_check_value_of_crc_32() {
        assert_eq!(super::crc32(&[b"1234", b"56789"]), 0xCBF4_3926);
    }
}
