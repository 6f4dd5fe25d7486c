//! The reverse map table. Source: APM vol. 2, 15.36.3.

use crate::memory::runs::{BLOCK, Follows, Runs};
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

impl Follows for Entry {
    fn after(self, pages: u64) -> Self {
        let gfn = self.gfn + if self.assigned { pages } else { 0 };
        Self { gfn, ..self }
    }
}

/// The table, one entry per frame.
#[derive(Clone, Debug)]
pub struct Rmp {
    entries: Runs<Entry>,
}

impl Rmp {
    /// All frames belong to the host.
    pub fn new(frames: u64) -> Self {
        Self {
            entries: Runs::new(frames, |_| Entry::default()),
        }
    }

    /// The entry of a frame; a host entry for a number that is no frame's.
    pub fn get(&self, frame: u32) -> Entry {
        self.entries.get(frame.into()).unwrap_or_default()
    }

    /// The entry of the first frame of a block, where the others follow from it.
    pub fn run(&self, frame: u32) -> Option<Entry> {
        self.entries.run(frame.into())
    }

    /// Changes an entry.
    pub(super) fn set(&mut self, frame: u32, entry: Entry) {
        self.entries.set(frame.into(), entry);
    }

    /// Changes the entries of a block to `first` and what follows from it.
    pub(super) fn set_run(&mut self, frame: u32, first: Entry) {
        self.entries.set_run(frame.into(), first);
    }

    /// RMPUPDATE, the host's instruction: assigns a frame to the guest (not validated, no
    /// permissions but VMPL 0's) or takes it back.
    pub fn update(&mut self, frame: u32, gfn: Option<u64>, large: bool) {
        let entry = gfn.map(|gfn| assigned(gfn, large));
        self.set(frame, entry.unwrap_or_default());
    }

    /// RMPUPDATE of a whole block of frames that are the host's; `false` where they are not.
    pub fn assign_block(&mut self, first: u32, gfn: u64, large: bool) -> bool {
        let free = self.run(first).is_some_and(|entry| !entry.assigned);
        if free {
            self.set_run(first, assigned(gfn, large));
        }
        free
    }

    /// PSMASH, the host's instruction: a 2 MiB entry becomes 512 small ones. `frame` is any of
    /// them; state is kept.
    pub fn smash(&mut self, frame: u32) {
        let small = |entry| Entry {
            large: false,
            ..entry
        };
        let first = frame & !(BLOCK as u32 - 1);
        match self.run(first) {
            Some(entry) => self.set_run(first, small(entry)),
            None => (first..first + BLOCK as u32)
                .for_each(|frame| self.set(frame, small(self.get(frame)))),
        }
    }

    /// The security processor's launch: assigned and validated.
    pub fn launch(&mut self, frame: u32, gfn: u64, vmsa: bool) {
        let entry = Entry {
            validated: true,
            vmsa,
            ..assigned(gfn, false)
        };
        self.set(frame, entry);
    }
}

fn assigned(gfn: u64, large: bool) -> Entry {
    Entry {
        assigned: true,
        large,
        gfn,
        permissions: [PERM_ALL, 0, 0, 0],
        ..Entry::default()
    }
}
