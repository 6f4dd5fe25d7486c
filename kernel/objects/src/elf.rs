//! The loadable parts of a user process' ELF file, checked before anything is mapped.
//! Source: System V ABI, "Program Header"; AMD64 supplement.

/// Why a file cannot be loaded. The image is at fault.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Error {
    /// Not a 64-bit little-endian x86-64 executable.
    NotElf,
    /// A header or a segment reaches past the end of the file.
    Truncated,
    /// A segment is writable and executable.
    WritableCode,
    /// A segment lies outside the room for user processes, or is not page aligned with its file.
    BadAddress,
}

/// One segment to load.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Segment<'a> {
    /// Virtual address of its first byte.
    pub virt: u64,
    /// Bytes in memory; what `data` does not fill is zero.
    pub len: u64,
    /// Bytes from the file.
    pub data: &'a [u8],
    /// Writable.
    pub write: bool,
    /// Executable.
    pub execute: bool,
}

/// A checked file.
#[derive(Clone, Copy, Debug)]
pub struct Elf<'a> {
    bytes: &'a [u8],
    /// Entry point.
    pub entry: u64,
    table: usize,
    count: usize,
}

const HEADER: usize = 64;
const PROGRAM_HEADER: usize = 56;
const PT_LOAD: u64 = 1;
const PF_X: u64 = 1;
const PF_W: u64 = 2;
const EM_X86_64: u64 = 62;
/// Highest end of a user segment.
pub const USER_END: u64 = 1 << 46;

impl<'a> Elf<'a> {
    /// Checks the header. Errors: `NotElf`, `Truncated`.
    pub fn parse(bytes: &'a [u8]) -> Result<Self, Error> {
        if bytes.len() < HEADER {
            return Err(Error::Truncated);
        }
        let good = bytes.starts_with(b"\x7FELF\x02\x01") && number(bytes, 18, 2)? == EM_X86_64;
        if !good || number(bytes, 54, 2)? as usize != PROGRAM_HEADER {
            return Err(Error::NotElf);
        }
        let table = usize::try_from(number(bytes, 32, 8)?).map_err(|_| Error::Truncated)?;
        let count = number(bytes, 56, 2)? as usize;
        Ok(Self {
            bytes,
            entry: number(bytes, 24, 8)?,
            table,
            count,
        })
    }

    /// The segments to load, each checked.
    pub fn segments(&self) -> impl Iterator<Item = Result<Segment<'a>, Error>> + '_ {
        (0..self.count).filter_map(|n| self.segment(n).transpose())
    }

    fn segment(&self, n: usize) -> Result<Option<Segment<'a>>, Error> {
        let at = n
            .checked_mul(PROGRAM_HEADER)
            .and_then(|o| o.checked_add(self.table));
        let at = at.ok_or(Error::Truncated)?;
        let field = |offset, len| number(self.bytes, at.saturating_add(offset), len);
        if field(0, 4)? != PT_LOAD || field(40, 8)? == 0 {
            return Ok(None);
        }
        let (flags, offset, virt) = (field(4, 4)?, field(8, 8)?, field(16, 8)?);
        let (file_len, len) = (field(32, 8)?, field(40, 8)?);
        if flags & PF_W != 0 && flags & PF_X != 0 {
            return Err(Error::WritableCode);
        }
        let end = virt.checked_add(len).ok_or(Error::BadAddress)?;
        if virt < 4096 || end > USER_END || virt % 4096 != offset % 4096 || file_len > len {
            return Err(Error::BadAddress);
        }
        let data_end = offset.checked_add(file_len).ok_or(Error::Truncated)?;
        let range = offset as usize..data_end as usize;
        let data = self.bytes.get(range).ok_or(Error::Truncated)?;
        let (write, execute) = (flags & PF_W != 0, flags & PF_X != 0);
        Ok(Some(Segment {
            virt,
            len,
            data,
            write,
            execute,
        }))
    }
}

fn number(bytes: &[u8], at: usize, len: usize) -> Result<u64, Error> {
    let end = at.checked_add(len).ok_or(Error::Truncated)?;
    let field = bytes.get(at..end).ok_or(Error::Truncated)?;
    Ok(field
        .iter()
        .rev()
        .fold(0, |value, byte| value << 8 | u64::from(*byte)))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use std::vec::Vec;

    fn file(flags: u32, virt: u64, len: u64) -> Vec<u8> {
        let mut bytes = std::vec![0; 0x1010];
        bytes[..6].copy_from_slice(b"\x7FELF\x02\x01");
        bytes[18] = 62;
        bytes[24..32].copy_from_slice(&0x40_0000u64.to_le_bytes());
        bytes[32] = 64;
        bytes[54] = 56;
        bytes[56] = 1;
        bytes[64] = 1;
        bytes[68..72].copy_from_slice(&flags.to_le_bytes());
        bytes[72..80].copy_from_slice(&0x1000u64.to_le_bytes());
        bytes[80..88].copy_from_slice(&virt.to_le_bytes());
        bytes[96..104].copy_from_slice(&0x10u64.to_le_bytes());
        bytes[104..112].copy_from_slice(&len.to_le_bytes());
        bytes
    }

    fn first(bytes: &[u8]) -> Result<u64, Error> {
        Elf::parse(bytes)?
            .segments()
            .next()
            .unwrap()
            .map(|s| s.virt)
    }

    #[test]
    fn good_and_bad_segments() {
        assert_eq!(first(&file(5, 0x40_0000, 0x20)), Ok(0x40_0000));
        assert_eq!(first(&file(7, 0x40_0000, 0x20)), Err(Error::WritableCode));
        assert_eq!(first(&file(6, 0x40_0010, 0x20)), Err(Error::BadAddress));
        assert_eq!(
            first(&file(6, 0xFFFF_8000_0000_0000, 0x20)),
            Err(Error::BadAddress)
        );
        assert_eq!(first(&file(6, 0x40_0000, 0x8)), Err(Error::BadAddress));
        assert_eq!(
            first(&file(4, 0x40_0000, 0x20)[..0x1008]),
            Err(Error::Truncated)
        );
        assert_eq!(first(b"#!/bin/sh"), Err(Error::Truncated));
    }

    proptest! {
        #[test]
        fn never_panics(at in 0usize..200, value: u8, cut in 0usize..0x1010) {
            let mut bytes = file(5, 0x40_0000, 0x20);
            bytes[at] = value;
            if let Ok(elf) = Elf::parse(&bytes[..cut]) {
                for segment in elf.segments().flatten() {
                    prop_assert!(segment.virt + segment.len <= USER_END);
                }
            }
        }
    }
}
