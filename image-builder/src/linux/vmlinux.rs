//! The kernel inside a bzImage: an ELF file, compressed. Source: Linux
//! `Documentation/arch/x86/boot.rst`, `payload_offset` and `payload_length`.

use super::bzimage::{self, BzImage};
use crate::{Failure, Result};
use ruzstd::decoding::StreamingDecoder;
use std::io::Read;

/// Places of the fields in the file.
const PAYLOAD_OFFSET: usize = 0x248;
const PAYLOAD_LENGTH: usize = 0x24C;
/// The size of what is compressed stands behind it.
const TRAILER: usize = 4;
const ZSTD: [u8; 4] = [0x28, 0xB5, 0x2F, 0xFD];
const ELF: &[u8] = b"\x7FELF";
/// Largest kernel that is unpacked.
const LARGEST: u64 = 256 << 20;

/// Unpacks it. Errors blame the user's input: no bzImage, another compression than zstd, damaged.
pub fn vmlinux(file: &[u8]) -> Result<Vec<u8>> {
    let image = bzimage::parse(file)?;
    let packed = payload(file, &image).ok_or_else(|| bad("its payload is outside the file"))?;
    if !packed.starts_with(&ZSTD) {
        return Err(bad("its payload is not compressed by zstd"));
    }
    let mut elf = Vec::new();
    let unpacked = StreamingDecoder::new(packed)
        .map_err(|error| error.to_string())
        .and_then(|decoder| {
            let whole = decoder.take(LARGEST).read_to_end(&mut elf);
            whole.map_err(|error| error.to_string())
        });
    unpacked.map_err(|error| bad(&format!("its payload is damaged: {error}")))?;
    match elf.starts_with(ELF) {
        true => Ok(elf),
        false => Err(bad("its payload is no ELF file")),
    }
}

fn payload<'a>(file: &[u8], image: &BzImage<'a>) -> Option<&'a [u8]> {
    let field = |at: usize| {
        let bytes = file.get(at..at + 4)?.try_into().ok()?;
        Some(u32::from_le_bytes(bytes) as usize)
    };
    let start = field(PAYLOAD_OFFSET)?;
    let end = start.checked_add(field(PAYLOAD_LENGTH)?)?;
    image.kernel.get(start..end.checked_sub(TRAILER)?)
}

fn bad(what: &str) -> Failure {
    let remedy = "name the vmlinuz of Debian's 6.12 cloud kernel";
    Failure::user(format!("the kernel cannot be unpacked: {what}"), remedy)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// zstd's format, RFC 8878: one raw block.
    fn sample(content: &[u8]) -> Vec<u8> {
        let mut packed = ZSTD.to_vec();
        packed.extend([0x20, content.len() as u8]);
        packed.extend(&((content.len() as u32) << 3 | 1).to_le_bytes()[..3]);
        packed.extend(content);
        packed.extend([0; TRAILER]);
        let mut file = bzimage::tests::sample(256);
        let kernel = file.len() - 256;
        file[kernel + 16..kernel + 16 + packed.len()].copy_from_slice(&packed);
        file[PAYLOAD_OFFSET..PAYLOAD_OFFSET + 4].copy_from_slice(&16u32.to_le_bytes());
        let len = packed.len() as u32;
        file[PAYLOAD_LENGTH..PAYLOAD_LENGTH + 4].copy_from_slice(&len.to_le_bytes());
        file
    }

    #[test]
    fn an_elf_file_comes_out_whole() {
        assert_eq!(
            vmlinux(&sample(b"\x7FELF and more")).unwrap(),
            b"\x7FELF and more"
        );
    }

    #[test]
    fn other_payloads_are_the_users() {
        let mut other = sample(b"\x7FELF");
        let at = other.windows(4).position(|four| four == ZSTD).unwrap();
        other[at] = 0x1F;
        let mut outside = sample(b"\x7FELF");
        outside[PAYLOAD_LENGTH + 2] = 1;
        let mut damaged = sample(b"\x7FELF");
        damaged[at + 6] |= 6;
        for (file, word) in [
            (other, "zstd"),
            (outside, "outside"),
            (damaged, "damaged"),
            (sample(b"text"), "no ELF"),
        ] {
            let failure = vmlinux(&file).unwrap_err();
            assert_eq!(failure.party, crate::Party::User);
            assert!(failure.cause.contains(word), "{failure}");
        }
    }
}
