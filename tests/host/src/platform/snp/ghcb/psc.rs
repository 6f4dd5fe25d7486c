//! Page-state changes in batches. Source: 56421 rev. 2.04, tables 8 and 9.

use super::{DONE, Served, Snp};
use crate::{
    memory::frames::Memory,
    report::End,
    vmm::{Vmm, lies},
};
use tessera_defs::{
    breach,
    snp::{
        ghcb::{GhcbPage, answer, psc},
        ghcb_msr,
    },
};

const MALFORMED: End = End::Breach(&breach::PSC_MALFORMED);
/// SW_EXITINFO2: the hypervisor failed (upper half 0, lower 0x100).
const GENERIC_FAILURE: u64 = 0x100;

impl Snp {
    /// Serves the structure in the shared buffer, entry by entry.
    pub(super) fn page_states(
        &mut self,
        vmm: &mut Vmm,
        memory: &mut Memory,
        page: &mut GhcbPage,
    ) -> Served {
        vmm.note("psc");
        let half =
            |at: usize| u16::from_le_bytes([page.shared_buffer[at], page.shared_buffer[at + 1]]);
        let (first, last) = (usize::from(half(0)), usize::from(half(2)));
        if last >= psc::MAX_ENTRIES || page.shared_buffer[4..8] != [0; 4] {
            return Err(MALFORMED);
        }
        let stop = match vmm.tells(lies::PSC_HALF) {
            true => last.div_ceil(2),
            false => last + 1,
        };
        for index in first..stop {
            let at = psc::HEADER + index * 8;
            let mut word = [0; 8];
            word.copy_from_slice(&page.shared_buffer[at..at + 8]);
            if !self.entry(vmm, memory, u64::from_le_bytes(word))? {
                return Ok((answer::OK, GENERIC_FAILURE, None));
            }
            page.shared_buffer[..2].copy_from_slice(&(index as u16 + 1).to_le_bytes());
        }
        if vmm.tells(lies::PSC_RANGE) {
            let beyond = last as u16 + 2;
            page.shared_buffer[..2].copy_from_slice(&beyond.to_le_bytes());
        }
        DONE
    }

    fn entry(&mut self, vmm: &mut Vmm, memory: &mut Memory, entry: u64) -> Result<bool, End> {
        let large = entry & psc::ENTRY_2M != 0;
        let gfn = entry >> 12 & 0xFF_FFFF_FFFF;
        let shared = match entry >> psc::OP_SHIFT & 0xF {
            ghcb_msr::PSC_PRIVATE => false,
            ghcb_msr::PSC_SHARED => true,
            _ => return Err(MALFORMED),
        };
        if entry >> 57 != 0 || large && gfn & 511 != 0 {
            return Err(MALFORMED);
        }
        Ok(self.change(vmm, memory, gfn, large, shared))
    }
}
