//! What a bzImage says of itself. Source: Linux `Documentation/arch/x86/boot.rst`.

use crate::{Failure, Result};
use tessera_handoff::layout::IMAGE_END;
use tessera_handoff::linux::efi::UNACCEPTED_GUID;
use tessera_handoff::linux::zero_page::{
    HEADER_MAGIC, LOADED_HIGH, VERSION_64BIT, XLF_KERNEL_64, at,
};

/// Largest file that is taken.
const LARGEST: usize = 64 << 20;
/// The header ends before this offset in every version of the protocol (`boot_params` has other
/// fields from 0x290 on).
const HEADER_LIMIT: usize = 0x290;
const SECTOR: usize = 512;

/// A checked image.
#[derive(Debug, Clone)]
pub struct BzImage<'a> {
    /// The setup header, from offset 0x1F1 on.
    pub header: &'a [u8],
    /// The protected-mode part.
    pub kernel: &'a [u8],
    /// Where it goes.
    pub base: u64,
    /// Memory that it needs from there on, in bytes.
    pub room: u64,
    /// Highest byte that the initrd may have.
    pub initrd_max: u64,
    /// Longest command line, without its end.
    pub command_line: usize,
    /// It knows the table of unaccepted memory.
    pub accepts: bool,
}

/// Checks `bytes`. Errors blame the user's input: no bzImage, truncated, too old, no 64-bit
/// entry, or one that must stand where our image is.
pub fn parse(bytes: &[u8]) -> Result<BzImage<'_>> {
    let magic = bytes.get(at::MAGIC..at::MAGIC + 4);
    if magic != Some(&HEADER_MAGIC) || bytes.get(0x1FE..0x200) != Some(&[0x55, 0xAA]) {
        return Err(bad("is no bzImage: it has no Linux setup header"));
    }
    if bytes.len() > LARGEST || bytes.len() < HEADER_LIMIT {
        return Err(bad("is no bzImage: its size is none that a kernel has"));
    }
    let version = u16_at(bytes, at::VERSION);
    let (high, entry) = (bytes[at::LOADFLAGS], u16_at(bytes, at::XLOADFLAGS));
    if version < VERSION_64BIT || high & LOADED_HIGH == 0 || entry & XLF_KERNEL_64 == 0 {
        let what = format!("has no 64-bit entry (boot protocol {version:#06x})");
        return Err(bad(&what));
    }
    let end = at::MAGIC + usize::from(bytes[at::JUMP + 1]);
    if bytes[at::JUMP] != 0xEB || !(at::INIT_SIZE + 4..=HEADER_LIMIT).contains(&end) {
        return Err(bad("has a setup header of an impossible length"));
    }
    let sectors = match bytes[at::SETUP_SECTS] {
        0 => 4,
        count => usize::from(count),
    };
    let kernel = bytes.get((sectors + 1) * SECTOR..).unwrap_or_default();
    let announced = u32_at(bytes, 0x1F4) as usize * 16;
    if kernel.is_empty() || kernel.len() < announced.saturating_sub(15) {
        return Err(bad("is truncated"));
    }
    let base = base(bytes)?;
    let room = u64::from(u32_at(bytes, at::INIT_SIZE)).max(kernel.len() as u64);
    Ok(BzImage {
        header: &bytes[at::SETUP_SECTS..end],
        kernel,
        base,
        room: room.next_multiple_of(4096),
        initrd_max: u32_at(bytes, at::INITRD_ADDR_MAX).into(),
        command_line: u32_at(bytes, at::CMDLINE_SIZE) as usize,
        accepts: knows_unaccepted(kernel),
    })
}

/// Whether the part that is not compressed names the table's GUID, which a kernel must to find it. No header
/// field says so. Compilers put the GUID into data or into two moves of eight bytes; who hides it better gets
/// all memory accepted, which every kernel can live with.
fn knows_unaccepted(kernel: &[u8]) -> bool {
    /// Bytes of code between the two halves at most.
    const APART: usize = 32;
    let (low, high) = UNACCEPTED_GUID.split_at(8);
    let at = |half: &[u8], bytes: &[u8]| bytes.windows(8).position(|window| window == half);
    let mut rest = kernel;
    while let Some(found) = at(low, rest) {
        let (from, to) = (found.saturating_sub(APART), found + 8 + APART);
        if at(high, &rest[from..to.min(rest.len())]).is_some() {
            return true;
        }
        rest = &rest[found + 8..];
    }
    false
}

/// The preferred address, or the first that fits behind our image.
fn base(bytes: &[u8]) -> Result<u64> {
    let preferred = u64::from_le_bytes(std::array::from_fn(|i| bytes[at::PREF_ADDRESS + i]));
    let alignment = u64::from(u32_at(bytes, at::ALIGNMENT)).max(4096);
    if !alignment.is_power_of_two() || !preferred.is_multiple_of(4096) || preferred >= 1 << 30 {
        return Err(bad("prefers an impossible address"));
    }
    if preferred >= IMAGE_END {
        return Ok(preferred);
    }
    match bytes[at::RELOCATABLE] {
        0 => Err(bad(&format!(
            "must stand at {preferred:#x}, where the boot stub is"
        ))),
        _ => Ok(IMAGE_END.next_multiple_of(alignment)),
    }
}

fn bad(what: &str) -> Failure {
    let remedy = "name the vmlinuz of an x86-64 Linux, as a distribution ships it";
    Failure::user(format!("the Linux image {what}"), remedy)
}

fn u16_at(bytes: &[u8], at: usize) -> u16 {
    u16::from_le_bytes([bytes[at], bytes[at + 1]])
}

fn u32_at(bytes: &[u8], at: usize) -> u32 {
    u32::from(u16_at(bytes, at)) | u32::from(u16_at(bytes, at + 2)) << 16
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;

    /// A file with a header like Debian's 6.12 and `kernel` bytes of protected-mode code.
    pub fn sample(kernel: usize) -> Vec<u8> {
        let mut file = vec![0; 5 * SECTOR];
        file[at::SETUP_SECTS] = 4;
        file[0x1FE..0x202].copy_from_slice(&[0x55, 0xAA, 0xEB, 0x6A]);
        file[at::MAGIC..at::MAGIC + 4].copy_from_slice(&HEADER_MAGIC);
        file[at::VERSION..at::VERSION + 2].copy_from_slice(&[0x0F, 2]);
        file[at::LOADFLAGS] = LOADED_HIGH;
        file[at::XLOADFLAGS] = 0x7F;
        file[0x1F4..0x1F8].copy_from_slice(&(kernel as u32 / 16).to_le_bytes());
        file[at::ALIGNMENT + 2] = 0x20;
        file[at::RELOCATABLE] = 1;
        file[at::PREF_ADDRESS + 3] = 1;
        file[at::INIT_SIZE..at::INIT_SIZE + 4].copy_from_slice(&0x37D_C000u32.to_le_bytes());
        file[at::INITRD_ADDR_MAX..at::INITRD_ADDR_MAX + 4]
            .copy_from_slice(&0x7FFF_FFFFu32.to_le_bytes());
        file[at::CMDLINE_SIZE..at::CMDLINE_SIZE + 2].copy_from_slice(&2047u16.to_le_bytes());
        file.resize(5 * SECTOR + kernel, 0xCC);
        file
    }

    #[test]
    fn a_good_header_is_read() {
        let file = sample(64);
        let image = parse(&file).unwrap();
        assert_eq!((image.base, image.room), (0x100_0000, 0x37D_C000));
        assert_eq!(
            (image.header.len(), image.kernel.len()),
            (0x26C - 0x1F1, 64)
        );
        assert_eq!((image.command_line, image.initrd_max), (2047, 0x7FFF_FFFF));
    }

    #[test]
    fn a_kernel_that_names_the_table_of_unaccepted_memory_accepts_by_itself() {
        let (low, high) = UNACCEPTED_GUID.split_at(8);
        let with = |parts: &[&[u8]]| {
            let mut file = sample(256);
            file[5 * SECTOR..][..parts.concat().len()].copy_from_slice(&parts.concat());
            parse(&file).unwrap().accepts
        };
        assert!(with(&[&UNACCEPTED_GUID]));
        assert!(with(&[low, &[0x48, 0xB8], high]));
        assert!(with(&[low, &[0; 90], high, &[1; 24], low]));
        assert!(!with(&[low, &[0; 33], high]));
        assert!(!with(&[low]));
        assert!(!with(&[high]));
        assert!(!with(&[]));
    }

    #[test]
    fn a_relocatable_one_gives_way_to_our_image() {
        let mut file = sample(64);
        file[at::PREF_ADDRESS + 3] = 0;
        file[at::PREF_ADDRESS + 2] = 0x10;
        assert_eq!(parse(&file).unwrap().base, 0x60_0000);
        file[at::RELOCATABLE] = 0;
        assert!(parse(&file).unwrap_err().cause.contains("must stand at"));
    }

    #[test]
    fn bad_files_are_the_users() {
        let change = |at: usize, value: u8| {
            let mut file = sample(64);
            file[at] = value;
            file
        };
        for (file, word) in [
            (Vec::new(), "no bzImage"),
            (b"\x7FELF".to_vec(), "no bzImage"),
            (sample(64)[..0x210].to_vec(), "no bzImage"),
            (change(at::MAGIC, 0), "no bzImage"),
            (change(at::XLOADFLAGS, 0), "64-bit"),
            (change(at::VERSION, 0xB), "64-bit"),
            (change(at::JUMP + 1, 0xFF), "length"),
            (change(at::PREF_ADDRESS, 1), "impossible"),
            (sample(64)[..5 * SECTOR + 8].to_vec(), "truncated"),
        ] {
            let failure = parse(&file).unwrap_err();
            assert_eq!(failure.party, crate::Party::User);
            assert!(failure.cause.contains(word), "{failure}");
        }
    }
}
