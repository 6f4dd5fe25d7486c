//! The page at the TDX reset vector. Source: 348549, "Initial State of TD Guest VCPUs": 32-bit
//! protected mode, flat, RIP 0xFFFF_FFF0.

use tessera_handoff::layout::{
    RESET_CODE, RESET_CODE_BYTES, RESET_PAGE, RESET_TABLES, WAKE, WAKE_WORDS,
};

/// Code of the stub that stands in the page.
pub type Code = [u8; RESET_CODE_BYTES];

/// Offset of the first instruction in the page.
const VECTOR: usize = 0xFF0;
/// JMP rel32.
const JMP: u8 = 0xE9;
/// HLT fills the rest, so that a stray jump stops.
const HLT: u8 = 0xF4;
/// Present, writable, accessed.
const TABLE: u64 = 0x23;
/// Present, writable, accessed, dirty, large page.
const LARGE: u64 = 0xE3;
const GIB: u64 = 1 << 30;

/// The page: words of waiting processors, their code, and at the vector a jump to it.
pub fn reset_page(code: &Code) -> [u8; 4096] {
    let at = (RESET_CODE - RESET_PAGE) as usize;
    let next = VECTOR + 5;
    let mut page = [HLT; 4096];
    page[(WAKE - RESET_PAGE) as usize..][..WAKE_WORDS as usize * 8].fill(0);
    page[at..at + code.len()].copy_from_slice(code);
    page[VECTOR] = JMP;
    page[VECTOR + 1..next].copy_from_slice(&(at as i32 - next as i32).to_le_bytes());
    page
}

/// PML4 and PDPT: the GiB of the page, identity.
pub fn reset_tables() -> [[u8; 4096]; 2] {
    let mut tables = [[0; 4096]; 2];
    let last = RESET_PAGE / GIB;
    let entry = (last * GIB) | LARGE;
    tables[0][..8].copy_from_slice(&((RESET_TABLES + 4096) | TABLE).to_le_bytes());
    tables[1][last as usize * 8..][..8].copy_from_slice(&entry.to_le_bytes());
    tables
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_vector_leads_to_the_code_and_nobody_is_awake() {
        let page = reset_page(&[0x90; RESET_CODE_BYTES]);
        // 0xFF5 + 0xFFFF_F80B is 0x800.
        assert_eq!(page[VECTOR..VECTOR + 5], [0xE9, 0x0B, 0xF8, 0xFF, 0xFF]);
        assert_eq!(page[0x800..0x880], [0x90; RESET_CODE_BYTES]);
        assert!(page[..0x800].iter().all(|byte| *byte == 0));
    }

    #[test]
    fn the_tables_map_the_page_to_itself() {
        let [top, next] = reset_tables();
        assert_eq!(top[..8], 0xFFFF_E023u64.to_le_bytes());
        assert_eq!(next[24..32], 0xC000_00E3u64.to_le_bytes());
        assert!(next[..24].iter().all(|byte| *byte == 0));
    }
}
