//! EFI tables as they stand after ExitBootServices: a system table without services, one
//! configuration table (Linux' unaccepted memory) and a memory map. Sources: UEFI 2.10, 4.2, 4.3,
//! 4.6, 7.2.3; the unaccepted-memory table: Linux `include/linux/efi.h`
//! (`struct efi_unaccepted_memory`, LINUX_EFI_UNACCEPTED_MEM_TABLE_GUID), version 1.

use super::zero_page::{ZeroPage, at};

/// `boot_params.efi_info`: a 64-bit loader.
const SIGNATURE: [u8; 4] = *b"EL64";
/// LINUX_EFI_UNACCEPTED_MEM_TABLE_GUID, d5d1de3c-105c-44f9-9ea9-bcef98120031.
pub const UNACCEPTED_GUID: [u8; 16] = [
    0x3C, 0xDE, 0xD1, 0xD5, 0x5C, 0x10, 0xF9, 0x44, 0x9E, 0xA9, 0xBC, 0xEF, 0x98, 0x12, 0x00, 0x31,
];
/// Memory that one bit of the bitmap stands for.
pub const UNIT: u64 = 2 << 20;
/// Bytes before the bitmap.
pub const UNACCEPTED_HEADER: usize = 24;
/// Bytes of a memory descriptor.
const DESCRIPTOR: usize = 40;
/// Places in the buffer.
const CONFIGURATION: usize = 128;
const VENDOR: usize = 160;
const MAP: usize = 192;
/// EFI_MEMORY_WB.
const WRITE_BACK: u64 = 1 << 3;
/// Bytes of the system table.
const SYSTEM_TABLE: usize = 120;

/// EFI memory types (UEFI 2.10, table 7.6).
pub mod kind {
    /// EfiReservedMemoryType.
    pub const RESERVED: u32 = 0;
    /// EfiConventionalMemory.
    pub const CONVENTIONAL: u32 = 7;
    /// EfiACPIReclaimMemory.
    pub const ACPI: u32 = 9;
    /// EfiACPIMemoryNVS.
    pub const ACPI_NVS: u32 = 10;
    /// EfiUnacceptedMemoryType.
    pub const UNACCEPTED: u32 = 15;
}

/// A memory map that grows in the buffer of the tables.
#[derive(Debug)]
pub struct Tables<'a> {
    buffer: &'a mut [u8],
    base: u64,
    count: usize,
}

impl<'a> Tables<'a> {
    /// Tables in `buffer`, which will stand at `base`; the unaccepted-memory table will stand at
    /// `unaccepted`. `buffer` holds at least a page.
    pub fn new(buffer: &'a mut [u8], base: u64, unaccepted: u64) -> Self {
        let mut put = |at: usize, bytes: &[u8]| buffer[at..at + bytes.len()].copy_from_slice(bytes);
        put(0, b"IBI SYST");
        // Revision 2.10, size of the table.
        put(8, &(2u32 << 16 | 100).to_le_bytes());
        put(12, &(SYSTEM_TABLE as u32).to_le_bytes());
        put(24, &(base + VENDOR as u64).to_le_bytes());
        put(104, &1u64.to_le_bytes());
        put(112, &(base + CONFIGURATION as u64).to_le_bytes());
        put(CONFIGURATION, &UNACCEPTED_GUID);
        put(CONFIGURATION + 16, &unaccepted.to_le_bytes());
        put(VENDOR, b"T\0e\0s\0s\0e\0r\0a\0\0\0");
        let sum = crc32(&buffer[..SYSTEM_TABLE]);
        buffer[16..20].copy_from_slice(&sum.to_le_bytes());
        Self {
            buffer,
            base,
            count: 0,
        }
    }

    /// Adds whole pages; an empty range is left out. `None`: there is no more room.
    pub fn memory(&mut self, start: u64, end: u64, kind: u32) -> Option<()> {
        if start >= end {
            return Some(());
        }
        let at = MAP + self.count * DESCRIPTOR;
        let place = self.buffer.get_mut(at..at + DESCRIPTOR)?;
        place[..4].copy_from_slice(&kind.to_le_bytes());
        place[8..16].copy_from_slice(&start.to_le_bytes());
        place[24..32].copy_from_slice(&((end - start) / 4096).to_le_bytes());
        place[32..40].copy_from_slice(&WRITE_BACK.to_le_bytes());
        self.count += 1;
        Some(())
    }

    /// Names the tables in the zero page. They stand below 4 GiB.
    pub fn finish(self, zero: &mut ZeroPage<'_>) {
        zero.0[at::EFI_INFO..at::EFI_INFO + 4].copy_from_slice(&SIGNATURE);
        let fields = [
            self.base as u32,
            DESCRIPTOR as u32,
            1,
            self.base as u32 + MAP as u32,
            (self.count * DESCRIPTOR) as u32,
        ];
        for (index, field) in fields.into_iter().enumerate() {
            zero.put32(at::EFI_INFO + 4 + index * 4, field);
        }
    }
}

/// The unaccepted-memory table for the ranges, which are whole units, in `buffer`. `None`: they
/// reach farther than the buffer's bits.
pub fn unaccepted(
    buffer: &mut [u8],
    ranges: impl Iterator<Item = (u64, u64)> + Clone,
) -> Option<()> {
    let base = ranges.clone().map(|(start, _)| start).min().unwrap_or(0);
    let end = ranges.clone().map(|(_, end)| end).max().unwrap_or(0);
    let bytes = ((end - base) / UNIT).div_ceil(8);
    let bits = buffer
        .get_mut(UNACCEPTED_HEADER..)?
        .get_mut(..bytes as usize)?;
    for (start, end) in ranges {
        for unit in (start - base) / UNIT..(end - base) / UNIT {
            bits[unit as usize / 8] |= 1 << (unit % 8);
        }
    }
    buffer[..4].copy_from_slice(&1u32.to_le_bytes());
    buffer[4..8].copy_from_slice(&(UNIT as u32).to_le_bytes());
    buffer[8..16].copy_from_slice(&base.to_le_bytes());
    buffer[16..24].copy_from_slice(&bytes.to_le_bytes());
    Some(())
}

/// CRC-32 as EFI uses it (ISO 3309, reflected).
fn crc32(bytes: &[u8]) -> u32 {
    !bytes.iter().fold(u32::MAX, |sum, byte| {
        (0..8).fold(sum ^ u32::from(*byte), |sum, _| {
            sum >> 1 ^ if sum & 1 == 1 { 0xEDB8_8320 } else { 0 }
        })
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_checksum_is_the_common_one() {
        assert_eq!(crc32(b"123456789"), 0xCBF4_3926);
    }

    #[test]
    fn bits_stand_for_units_from_the_first() {
        let mut buffer = [0; 32];
        let ranges = [(10 * UNIT, 12 * UNIT), (19 * UNIT, 20 * UNIT)];
        unaccepted(&mut buffer, ranges.into_iter()).unwrap();
        assert_eq!(buffer[..8], [1, 0, 0, 0, 0, 0, 0x20, 0]);
        assert_eq!(buffer[8..16], (10 * UNIT).to_le_bytes());
        assert_eq!(
            buffer[16..],
            [2, 0, 0, 0, 0, 0, 0, 0, 3, 2, 0, 0, 0, 0, 0, 0]
        );
        assert_eq!(unaccepted(&mut buffer, [(0, 1 << 30)].into_iter()), None);
    }

    #[test]
    fn the_zero_page_names_map_and_system_table() {
        let (mut buffer, mut page) = ([0; 4096], [0; 4096]);
        let mut tables = Tables::new(&mut buffer, 0x20_5000, 0x20_7000);
        tables.memory(0, 0xA_0000, kind::CONVENTIONAL).unwrap();
        tables.memory(5, 5, kind::RESERVED).unwrap();
        tables.finish(&mut ZeroPage(&mut page));
        assert_eq!(
            page[0x1C0..0x1C8],
            [b'E', b'L', b'6', b'4', 0, 0x50, 0x20, 0]
        );
        assert_eq!(page[0x1D0..0x1D8], [0xC0, 0x50, 0x20, 0, 40, 0, 0, 0]);
        assert_eq!(buffer[MAP + 24], 0xA0);
        let sum = u32::from_le_bytes(buffer[16..20].try_into().unwrap());
        buffer[16..20].fill(0);
        assert_eq!(crc32(&buffer[..SYSTEM_TABLE]), sum);
    }
}
