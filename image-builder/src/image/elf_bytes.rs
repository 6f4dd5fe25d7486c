//! A program's file without what only debuggers read.

use super::bundle;
use crate::{Failure, Result};
use object::read::elf::{FileHeader, ProgramHeader};
use object::{LittleEndian, elf};

/// Offset and length of the header's fields about sections: e_shoff, e_shentsize to e_shstrndx.
const SECTION_FIELDS: [(usize, usize); 2] = [(0x28, 8), (0x3A, 6)];

/// The file up to the end of its last loaded byte, with a header that names no sections. Errors
/// blame the program.
pub fn loadable(name: &str, file: &[u8]) -> Result<Vec<u8>> {
    let bad = |what: String| {
        let cause = format!("the program {name} in the bundle {what}");
        Failure::image(cause, "build it with `tessera build`")
    };
    let broken = |error| bad(format!("is no usable ELF file: {error}"));
    let words = bundle::words(file);
    let bytes = zerocopy::IntoBytes::as_bytes(&words[..]);
    let header = elf::FileHeader64::<LittleEndian>::parse(bytes).map_err(broken)?;
    let endian = header.endian().map_err(broken)?;
    let mut end = 0;
    for item in header.program_headers(endian, bytes).map_err(broken)? {
        if item.p_type(endian) == elf::PT_LOAD {
            end = end.max(item.p_offset(endian).saturating_add(item.p_filesz(endian)));
        }
    }
    let table = header.e_phoff(endian) + u64::from(header.e_phnum(endian)) * 56;
    let end = usize::try_from(end.max(table)).unwrap_or(usize::MAX);
    let kept = file.get(..end).ok_or_else(|| bad("is truncated".into()))?;
    let mut kept = kept.to_vec();
    for (at, len) in SECTION_FIELDS {
        kept[at..at + len].fill(0);
    }
    Ok(kept)
}
