//! The page at the TDX reset vector. Source: 348549, "Initial State of TD Guest VCPUs": 32-bit
//! protected mode, flat, RIP 0xFFFF_FFF0.

use crate::{Failure, Result};
use tessera_handoff::layout::RESET_PAGE;

/// Offset of the first instruction in the page.
const VECTOR: usize = 0xFF0;
/// JMP rel32.
const JMP: u8 = 0xE9;
/// HLT fills the rest, so that a stray jump stops.
const HLT: u8 = 0xF4;

/// The page, whose only instruction jumps to `entry_tdx32` (a 32-bit address).
pub fn reset_page(entry_tdx32: u64) -> Result<[u8; 4096]> {
    let target = u32::try_from(entry_tdx32).map_err(|_| {
        Failure::image(
            format!("entry_tdx32 stands at {entry_tdx32:#x}, beyond 32 bits"),
            "link the stub below 4 GiB",
        )
    })?;
    let next = RESET_PAGE as u32 + VECTOR as u32 + 5;
    let mut page = [HLT; 4096];
    page[VECTOR] = JMP;
    page[VECTOR + 1..VECTOR + 5].copy_from_slice(&target.wrapping_sub(next).to_le_bytes());
    Ok(page)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn jumps_to_the_entry_modulo_4_gib() {
        let page = reset_page(0x0010_1000).unwrap();
        // 0xFFFF_FFF5 + 0x0010_100B wraps to 0x0010_1000.
        assert_eq!(page[VECTOR..VECTOR + 5], [0xE9, 0x0B, 0x10, 0x10, 0x00]);
    }

    #[test]
    fn an_entry_out_of_reach_is_refused() {
        assert!(reset_page(1 << 32).is_err());
    }
}
