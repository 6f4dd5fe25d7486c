//! Page-state changes in batches. Source: 56421 rev. 2.04, tables 8 and 9.

use super::{DONE, Served, Snp, io};
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

/// What an entry comes to.
enum Entry {
    /// With what stands in its place.
    Done(u64),
    Failed,
    Invalid,
}

impl Snp {
    /// Serves the structure in the shared buffer, entry by entry.
    pub(super) fn page_states(
        &mut self,
        vmm: &mut Vmm,
        memory: &mut Memory,
        gpa: u64,
        request: &GhcbPage,
        page: &mut GhcbPage,
    ) -> Served {
        vmm.note("psc");
        let at = io::scratch(gpa, request, psc::HEADER)?;
        let buffer = &mut page.shared_buffer[at..];
        let half = |at: usize| u16::from_le_bytes([buffer[at], buffer[at + 1]]);
        let (first, last) = (usize::from(half(0)), usize::from(half(2)));
        let room = (buffer.len() - psc::HEADER) / 8;
        if last >= room.min(psc::MAX_ENTRIES) || buffer[4..8] != [0; 4] {
            return self.psc_wrong(vmm, psc::INVALID_HEADER);
        }
        let stop = match vmm.tells(lies::PSC_HALF) {
            true => last.div_ceil(2),
            false => last + 1,
        };
        for index in first..stop {
            let at = psc::HEADER + index * 8;
            let mut word = [0; 8];
            word.copy_from_slice(&buffer[at..at + 8]);
            match self.entry(vmm, memory, u64::from_le_bytes(word)) {
                Entry::Done(entry) => buffer[at..at + 8].copy_from_slice(&entry.to_le_bytes()),
                Entry::Failed => return Ok((answer::OK, psc::FAILED, None)),
                Entry::Invalid => return self.psc_wrong(vmm, psc::INVALID_ENTRY),
            }
            buffer[..2].copy_from_slice(&(index as u16 + 1).to_le_bytes());
        }
        if vmm.tells(lies::PSC_RANGE) {
            let beyond = last as u16 + 2;
            buffer[..2].copy_from_slice(&beyond.to_le_bytes());
        }
        DONE
    }

    fn psc_wrong(&self, vmm: &Vmm, code: u64) -> Served {
        match self.blames(vmm) {
            true => Err(End::Breach(&breach::PSC_MALFORMED).into()),
            false => Ok((answer::OK, code, None)),
        }
    }

    fn entry(&mut self, vmm: &mut Vmm, memory: &mut Memory, entry: u64) -> Entry {
        let large = entry & psc::ENTRY_2M != 0;
        let gfn = entry >> 12 & 0xFF_FFFF_FFFF;
        let (current, pages) = (entry & psc::CURRENT_PAGE, if large { 512 } else { 1 });
        if entry >> 57 != 0 || large && gfn & 511 != 0 || current > pages {
            return Entry::Invalid;
        }
        // One that was begun goes on page by page.
        let mut change = |shared| match current {
            0 => self.change(vmm, memory, gfn, large, shared),
            _ => (current..pages).all(|n| self.change(vmm, memory, gfn + n, false, shared)),
        };
        let done = match entry >> psc::OP_SHIFT & 0xF {
            ghcb_msr::PSC_PRIVATE => change(false),
            ghcb_msr::PSC_SHARED => change(true),
            ghcb_msr::PSC_PSMASH => self.smash(memory, gfn),
            // A hint that a host may leave alone.
            ghcb_msr::PSC_UNSMASH => true,
            _ => return Entry::Invalid,
        };
        match done {
            true => Entry::Done(entry & !psc::CURRENT_PAGE | pages),
            false => Entry::Failed,
        }
    }

    /// PSMASH on the guest's behalf: its 2 MiB page becomes 512 small ones.
    fn smash(&mut self, memory: &Memory, gfn: u64) -> bool {
        let frame = memory.frame(gfn);
        if let Some(frame) = frame.filter(|frame| self.rmp.get(*frame).large) {
            self.rmp.smash(frame);
        }
        frame.is_some()
    }
}
