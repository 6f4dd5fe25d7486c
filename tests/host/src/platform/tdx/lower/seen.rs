//! Guest-physical memory as the L2 VM may use it.

use crate::{
    memory::{
        frames::{Memory, PAGE},
        walk,
    },
    silicon::tdx::{
        td::Td,
        view::{self, Outcome, SHARED},
    },
};
use alloc::collections::BTreeSet;
use tessera_defs::tdx::page::attr;

/// The L2 VM's view.
pub struct Seen<'a> {
    /// Private pages and their attributes.
    pub td: &'a Td,
    /// Shared pages.
    pub shared: &'a BTreeSet<u64>,
    /// Frames.
    pub memory: &'a mut Memory,
}

impl Seen<'_> {
    fn frame(&self, gpa: u64, needed: u64) -> Option<u32> {
        match view::resolve(&self.td.sept, self.shared, self.memory, gpa) {
            Outcome::Shared(frame) if self.td.l2.shared_ept() => Some(frame),
            Outcome::Private(frame) => {
                let entry = self.td.sept.get((gpa & !SHARED) / PAGE as u64);
                (u64::from(entry.l2) & needed == needed).then_some(frame)
            }
            _ => None,
        }
    }
}

impl walk::Physical for Seen<'_> {
    fn read_u64(&mut self, gpa: u64) -> Option<u64> {
        let frame = self.frame(gpa, attr::R)?;
        self.memory.read_u64(frame, gpa as usize % PAGE)
    }

    fn write_u64(&mut self, gpa: u64, value: u64) -> Option<()> {
        let frame = self.frame(gpa, attr::R | attr::W)?;
        let offset = gpa as usize % PAGE;
        let place = self.memory.page(frame)?.get_mut(offset..offset + 8)?;
        place.copy_from_slice(&value.to_le_bytes());
        Some(())
    }
}
