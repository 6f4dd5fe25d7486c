//! A small bounds-checked walker over an IGVM file's variable headers, for loaders that run
//! without `std`: the test host, and the stub's PVH entry. Source: IGVM file format, `igvm_defs`.

/// Bytes of the fixed header that we need (version 1).
const FIXED_HEADER: usize = 24;
/// "IGVM".
const MAGIC: u32 = 0x4D56_4749;

/// Why a file cannot be walked. The image is at fault.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Error {
    /// Not an IGVM file.
    NotIgvm,
    /// A version of the format that we do not read.
    Version(u32),
    /// A header or file data reaches past the end.
    Truncated,
}

/// One variable header: its type and its content without padding.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Header<'a> {
    /// `IgvmVariableHeaderType`.
    pub kind: u32,
    /// Content.
    pub data: &'a [u8],
}

impl Header<'_> {
    /// Little-endian u32 at `offset` of the content; 0 past its end.
    pub fn u32(&self, offset: usize) -> u32 {
        read_u32(self.data, offset).unwrap_or(0)
    }

    /// Little-endian u64 at `offset` of the content; 0 past its end.
    pub fn u64(&self, offset: usize) -> u64 {
        u64::from(self.u32(offset)) | u64::from(self.u32(offset + 4)) << 32
    }
}

/// A file whose fixed header was checked.
#[derive(Clone, Copy, Debug)]
pub struct File<'a> {
    bytes: &'a [u8],
    headers: &'a [u8],
}

impl<'a> File<'a> {
    /// Checks the fixed header. Errors: `Error`.
    pub fn parse(bytes: &'a [u8]) -> Result<Self, Error> {
        if read_u32(bytes, 0) != Some(MAGIC) {
            return Err(Error::NotIgvm);
        }
        let word = |at| read_u32(bytes, at).ok_or(Error::Truncated);
        let version = word(4)?;
        if version != 1 {
            return Err(Error::Version(version));
        }
        let (start, len) = (word(8)? as usize, word(12)? as usize);
        let total = word(16)? as usize;
        if start < FIXED_HEADER || total > bytes.len() {
            return Err(Error::Truncated);
        }
        let end = start.checked_add(len).ok_or(Error::Truncated)?;
        let headers = bytes.get(start..end).ok_or(Error::Truncated)?;
        Ok(Self {
            bytes: &bytes[..total],
            headers,
        })
    }

    /// The variable headers in file order; a broken one ends the walk with an error.
    pub fn headers(&self) -> Headers<'a> {
        Headers { rest: self.headers }
    }

    /// `len` bytes of file data at `offset`. Errors: `Truncated`.
    pub fn data(&self, offset: u32, len: usize) -> Result<&'a [u8], Error> {
        let start = offset as usize;
        let end = start.checked_add(len).ok_or(Error::Truncated)?;
        self.bytes.get(start..end).ok_or(Error::Truncated)
    }
}

/// Iterator over variable headers.
#[derive(Clone, Debug)]
pub struct Headers<'a> {
    rest: &'a [u8],
}

impl<'a> Iterator for Headers<'a> {
    type Item = Result<Header<'a>, Error>;

    fn next(&mut self) -> Option<Self::Item> {
        if self.rest.is_empty() {
            return None;
        }
        let item = split_header(self.rest);
        self.rest = match &item {
            Ok((_, rest)) => rest,
            Err(_) => &[],
        };
        Some(item.map(|(header, _)| header))
    }
}

fn split_header(rest: &[u8]) -> Result<(Header<'_>, &[u8]), Error> {
    let kind = read_u32(rest, 0).ok_or(Error::Truncated)?;
    let len = read_u32(rest, 4).ok_or(Error::Truncated)? as usize;
    let end = len.checked_add(8).ok_or(Error::Truncated)?;
    let data = rest.get(8..end).ok_or(Error::Truncated)?;
    let padded = end.checked_next_multiple_of(8).ok_or(Error::Truncated)?;
    Ok((Header { kind, data }, rest.get(padded..).unwrap_or(&[])))
}

fn read_u32(bytes: &[u8], at: usize) -> Option<u32> {
    let word = bytes.get(at..at.checked_add(4)?)?;
    Some(u32::from_le_bytes(word.try_into().ok()?))
}
