//! Page tables of the first instruction: the first GiB, identity, by 2 MiB pages.
//! Source: APM vol. 2, 5.3 (long-mode page translation); 15.36.6 (the C-bit).

use tessera_defs::x86::{LARGE_PAGE_SIZE, PAGE_SIZE};
use tessera_handoff::layout::BOOT_TABLES;

/// The C-bit of every SNP processor so far; CPUID 0x8000_001F EBX 5:0 names it, and the stub
/// compares.
pub const C_BIT: u64 = 1 << 51;
/// Pages that the tables take: PML4, PDPT, PD.
pub const PAGES: u64 = 3;

/// Present, writable, accessed.
const TABLE: u64 = 0x23;
/// Present, writable, accessed, dirty, large page.
const LARGE: u64 = 0xE3;

/// The three tables, in address order from `BOOT_TABLES`; `private` (the C-bit or 0) is set in
/// every entry.
pub fn boot_tables(private: u64) -> [[u8; 4096]; PAGES as usize] {
    let pointer = |page: u64| (BOOT_TABLES + page * PAGE_SIZE) | TABLE | private;
    let mut tables = [[0; 4096]; PAGES as usize];
    put(&mut tables[0], 0, pointer(1));
    put(&mut tables[1], 0, pointer(2));
    for index in 0..512 {
        let entry = (index as u64 * LARGE_PAGE_SIZE) | LARGE | private;
        put(&mut tables[2], index, entry);
    }
    tables
}

fn put(table: &mut [u8; 4096], index: usize, entry: u64) {
    table[index * 8..index * 8 + 8].copy_from_slice(&entry.to_le_bytes());
}

#[cfg(test)]
mod tests {
    use super::*;

    fn entry(table: &[u8; 4096], index: usize) -> u64 {
        u64::from_le_bytes(table[index * 8..index * 8 + 8].try_into().unwrap())
    }

    #[test]
    fn every_present_entry_carries_the_c_bit_and_only_the_first_gib_is_mapped() {
        let tables = boot_tables(C_BIT);
        assert_eq!(entry(&tables[0], 0), 0x0008_0000_0017_1023);
        assert_eq!(entry(&tables[1], 0), 0x0008_0000_0017_2023);
        assert_eq!(entry(&tables[2], 511), 0x0008_0000_3FE0_00E3);
        let empty = |table: &[u8; 4096]| table[8..].iter().all(|byte| *byte == 0);
        assert!(empty(&tables[0]) && empty(&tables[1]));
    }

    #[test]
    fn without_the_c_bit_nothing_else_changes() {
        let (with, without) = (boot_tables(C_BIT), boot_tables(0));
        assert_eq!(entry(&with[2], 7) ^ entry(&without[2], 7), C_BIT);
        assert_eq!(entry(&without[0], 0), 0x17_1023);
    }
}
