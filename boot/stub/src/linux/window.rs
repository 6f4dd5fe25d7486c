//! Memory beyond the first GiB, for PVALIDATE, which takes an address that is mapped: a GiB at a time
//! shows in the third GiB of the stub's map.

use super::ranges::Range;
use crate::memory;
use tessera_defs::refusal::Refusal;
use tessera_defs::snp::status::C_BIT;
use tessera_handoff::layout::BOOT_TABLES;
use tessera_isolation::strategy::traits::Pages;

const GIB: u64 = 1 << 30;
/// Entry of the PDPT, and its table: the second one is `snp::share`'s.
const ENTRY: usize = 2;
const TABLE: u64 = BOOT_TABLES + 0x4000;

/// Hands `act` the range in runs that are mapped. Errors: `act`'s.
pub fn each(
    (mut start, end): Range,
    mut act: impl FnMut(Pages) -> Result<(), Refusal>,
) -> Result<(), Refusal> {
    while start < end {
        let gib = start / GIB;
        let stop = end.min((gib + 1) * GIB);
        let virt = if gib == 0 {
            start
        } else {
            show(gib) + start % GIB
        };
        act(Pages {
            gpa: start,
            virt,
            count: (stop - start) / 4096,
        })?;
        start = stop;
    }
    Ok(())
}

/// Maps a GiB; where it shows.
fn show(gib: u64) -> u64 {
    let private = 1 << C_BIT;
    for n in 0..512 {
        let page = gib * GIB + (n << 21);
        memory::write_boot_table(TABLE, n as usize, page | 0xE3 | private);
    }
    memory::write_boot_table(BOOT_TABLES + 0x1000, ENTRY, TABLE | 0x23 | private);
    ENTRY as u64 * GIB
}
