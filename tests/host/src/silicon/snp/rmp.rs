//! The reverse map table. Source: APM vol. 2, 15.36.3.

use alloc::{vec, vec::Vec};
use tessera_defs::snp::rmp::PERM_ALL;

/// One entry, for a 4 KiB frame.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Entry {
    /// Belongs to the guest.
    pub assigned: bool,
    /// Validated by the guest.
    pub validated: bool,
    /// Part of a 2 MiB entry.
    pub large: bool,
    /// May be run as a VMSA.
    pub vmsa: bool,
    /// Guest frame number that it belongs to.
    pub gfn: u64,
    /// Permissions of VMPL 0..3.
    pub permissions: [u8; 4],
}

/// The table, one entry per frame of the pool.
#[derive(Clone, Debug)]
pub struct Rmp {
    entries: Vec<Entry>,
}

impl Rmp {
    /// All frames belong to the host.
    pub fn new(frames: usize) -> Self {
        Self {
            entries: vec![Entry::default(); frames],
        }
    }

    /// The entry of a frame; a host entry for a number outside the pool.
    pub fn get(&self, frame: u32) -> Entry {
        self.entries
            .get(frame as usize)
            .copied()
            .unwrap_or_default()
    }

    /// The entry of a frame, to change.
    pub(super) fn entry(&mut self, frame: u32) -> Option<&mut Entry> {
        self.entries.get_mut(frame as usize)
    }

    /// RMPUPDATE, the host's instruction: assigns a frame to the guest (not validated, no
    /// permissions but VMPL 0's) or takes it back.
    pub fn update(&mut self, frame: u32, gfn: Option<u64>, large: bool) {
        if let Some(entry) = self.entry(frame) {
            *entry = match gfn {
                Some(gfn) => Entry {
                    assigned: true,
                    large,
                    gfn,
                    permissions: [PERM_ALL, 0, 0, 0],
                    ..Entry::default()
                },
                None => Entry::default(),
            };
        }
    }

    /// PSMASH, the host's instruction: a 2 MiB entry becomes 512 small ones. `frame` is any of
    /// them; state is kept.
    pub fn smash(&mut self, frame: u32) {
        let first = frame & !511;
        (first..first + 512).for_each(|frame| {
            if let Some(entry) = self.entry(frame) {
                entry.large = false;
            }
        });
    }

    /// The security processor's launch: assigned and validated.
    pub fn launch(&mut self, frame: u32, gfn: u64, vmsa: bool) {
        self.update(frame, Some(gfn), false);
        if let Some(entry) = self.entry(frame) {
            entry.validated = true;
            entry.vmsa = vmsa;
        }
    }
}
