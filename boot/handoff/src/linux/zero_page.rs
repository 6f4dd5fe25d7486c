//! Linux' setup header and zero page. Source: Linux `Documentation/arch/x86/boot.rst` and
//! `zero-page.rst`, protocol 2.15. All numbers are little-endian.

/// Offsets in the zero page; from `SETUP_HEADER` on they are those of the file too.
pub mod at {
    /// Physical address of the RSDP, u64.
    pub const ACPI_RSDP: usize = 0x070;
    /// EFI: signature, system table, descriptor size, version, map, map size, two upper halves.
    pub const EFI_INFO: usize = 0x1C0;
    /// Entries of the memory map, u8.
    pub const E820_ENTRIES: usize = 0x1E8;
    /// Sectors of setup code, u8; 0 means 4. First byte of the setup header.
    pub const SETUP_SECTS: usize = 0x1F1;
    /// The header's jump instruction; its second byte says where the header ends.
    pub const JUMP: usize = 0x200;
    /// "HdrS".
    pub const MAGIC: usize = 0x202;
    /// Protocol version, u16.
    pub const VERSION: usize = 0x206;
    /// Loader, u8.
    pub const LOADER: usize = 0x210;
    /// Flags, u8.
    pub const LOADFLAGS: usize = 0x211;
    /// Address of the protected-mode part, u32.
    pub const CODE32_START: usize = 0x214;
    /// Address and size of the initrd, u32 each.
    pub const RAMDISK: usize = 0x218;
    /// Address of the command line, u32.
    pub const CMD_LINE_PTR: usize = 0x228;
    /// Highest byte of the initrd, u32.
    pub const INITRD_ADDR_MAX: usize = 0x22C;
    /// Alignment of the kernel, u32.
    pub const ALIGNMENT: usize = 0x230;
    /// Whether it may stand elsewhere, u8.
    pub const RELOCATABLE: usize = 0x234;
    /// Flags, u16.
    pub const XLOADFLAGS: usize = 0x236;
    /// Longest command line without its end, u32.
    pub const CMDLINE_SIZE: usize = 0x238;
    /// First of a list of setup data, u64.
    pub const SETUP_DATA: usize = 0x250;
    /// Preferred address, u64.
    pub const PREF_ADDRESS: usize = 0x258;
    /// Memory that the kernel needs from its address on, u32.
    pub const INIT_SIZE: usize = 0x260;
    /// The memory map.
    pub const E820_TABLE: usize = 0x2D0;
}

/// `at::MAGIC`.
pub const HEADER_MAGIC: [u8; 4] = *b"HdrS";
/// The first protocol version with a 64-bit entry.
pub const VERSION_64BIT: u16 = 0x020C;
/// `LOADFLAGS`: the protected-mode part stands at or above 1 MiB.
pub const LOADED_HIGH: u8 = 1 << 0;
/// `XLOADFLAGS`: there is a 64-bit entry.
pub const XLF_KERNEL_64: u16 = 1 << 0;
/// The 64-bit entry, from the kernel's first byte.
pub const ENTRY_64: u64 = 0x200;
/// A loader without an assigned number.
pub const LOADER_OTHER: u8 = 0xFF;
/// Entries of the memory map at most.
pub const E820_MAX: usize = 128;
/// Bytes of an entry: address and size (u64), type (u32).
pub const E820_ENTRY: usize = 20;

/// Types of memory in the map.
pub mod e820 {
    /// RAM.
    pub const RAM: u32 = 1;
    /// Not to be used.
    pub const RESERVED: u32 = 2;
    /// ACPI tables.
    pub const ACPI: u32 = 3;
    /// Kept for firmware: ACPI non-volatile storage.
    pub const NVS: u32 = 4;
}

/// A zero page that is filled in.
#[derive(Debug)]
pub struct ZeroPage<'a>(pub &'a mut [u8; 4096]);

impl ZeroPage<'_> {
    /// Writes a number of 4 bytes.
    pub fn put32(&mut self, at: usize, value: u32) {
        self.0[at..at + 4].copy_from_slice(&value.to_le_bytes());
    }

    /// Writes a number of 8 bytes.
    pub fn put64(&mut self, at: usize, value: u64) {
        self.0[at..at + 8].copy_from_slice(&value.to_le_bytes());
    }

    /// Adds a range to the memory map; an empty one is left out. `None`: the map is full.
    pub fn e820(&mut self, start: u64, end: u64, kind: u32) -> Option<()> {
        if start >= end {
            return Some(());
        }
        let count = usize::from(self.0[at::E820_ENTRIES]);
        if count >= E820_MAX {
            return None;
        }
        let place = at::E820_TABLE + count * E820_ENTRY;
        self.put64(place, start);
        self.put64(place + 8, end - start);
        self.put32(place + 16, kind);
        self.0[at::E820_ENTRIES] += 1;
        Some(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_map_grows_to_its_end() {
        let mut page = [0; 4096];
        let mut zero = ZeroPage(&mut page);
        zero.e820(0, 0, e820::RAM).unwrap();
        for n in 0..E820_MAX as u64 {
            zero.e820(n << 12, (n + 1) << 12, e820::RAM).unwrap();
        }
        assert_eq!(zero.e820(0, 1, e820::RAM), None);
        assert_eq!(page[at::E820_ENTRIES], 128);
        assert_eq!(page[at::E820_TABLE + 20..][..20], {
            let mut entry = [0; 20];
            (entry[1], entry[9], entry[16]) = (0x10, 0x10, 1);
            entry
        });
        // The map ends where the specification has padding (0xCD0).
        assert_eq!(at::E820_TABLE + E820_MAX * E820_ENTRY, 0xCD0);
    }
}
