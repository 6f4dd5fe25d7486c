//! Ranges of small pages: the tables that they need, and give back.

use super::{Error, PRESENT, TableMemory, Tables, USER, WRITABLE, index};

impl Tables {
    /// Tables that are missing for small pages in `virt..virt + len`, which is not empty.
    pub fn missing(&self, memory: &impl TableMemory, virt: u64, len: u64) -> u64 {
        (0..3)
            .map(|level| self.missing_at(memory, virt, len, level))
            .sum()
    }

    /// Tables of `level` that are missing.
    fn missing_at(&self, memory: &impl TableMemory, virt: u64, len: u64, level: u32) -> u64 {
        spans(virt, len, level)
            .filter(|span| self.table(memory, *span, level).is_none())
            .count() as u64
    }

    /// Makes the tables that `missing` counts. Errors: `OutOfTables`; those made stay.
    pub fn prepare_range(
        &self,
        memory: &mut impl TableMemory,
        virt: u64,
        len: u64,
    ) -> Result<(), Error> {
        for span in spans(virt, len, 0) {
            self.walk(memory, span, 0, true)?;
        }
        Ok(())
    }

    /// Takes all small pages of `virt..virt + len` away that are there.
    pub fn unmap_range(&self, memory: &mut impl TableMemory, virt: u64, len: u64) {
        for span in spans(virt, len, 0) {
            let Some(table) = self.table(memory, span, 0) else {
                continue;
            };
            let first = span.max(virt);
            let end = (span + span_bytes(0)).min(virt + len);
            for page in (first..end).step_by(4096) {
                memory.write(table, index(page, 0), 0);
            }
        }
    }

    /// Takes tables away that serve `virt..virt + len` and for whose addresses `keep` (first
    /// address, bytes) is false: nothing is mapped there. Calls `free` for each; how many.
    pub fn prune<M: TableMemory>(
        &self,
        memory: &mut M,
        virt: u64,
        len: u64,
        keep: impl Fn(u64, u64) -> bool,
        mut free: impl FnMut(&mut M, u64),
    ) -> u64 {
        let mut count = 0;
        for level in 0..3 {
            for span in spans(virt, len, level) {
                if keep(span, span_bytes(level)) {
                    continue;
                }
                let Some(above) = self.table(memory, span, level + 1) else {
                    continue;
                };
                let entry = memory.read(above, index(span, level + 1));
                if entry & PRESENT != 0 {
                    memory.write(above, index(span, level + 1), 0);
                    free(memory, self.address(entry));
                    count += 1;
                }
            }
        }
        count
    }

    /// Whether every page of `virt..virt + len` is a user page (writable where `write`).
    /// An overflowing or empty-mapped range is not.
    pub fn user_range(&self, memory: &impl TableMemory, virt: u64, len: u64, write: bool) -> bool {
        let Some(end) = virt.checked_add(len) else {
            return false;
        };
        if end > 1 << 47 {
            return false;
        }
        let wanted = USER | if write { WRITABLE } else { 0 };
        let mut page = virt & !4095;
        while page < end {
            match self.translate(memory, page) {
                Some((_, flags)) if flags & wanted == wanted => page += 4096,
                _ => return false,
            }
        }
        true
    }
}

/// Bytes that a table of `level` serves.
const fn span_bytes(level: u32) -> u64 {
    4096 << (9 * (level + 1))
}

/// First addresses of what tables of `level` serve, as far as they touch `virt..virt + len`.
fn spans(virt: u64, len: u64, level: u32) -> impl Iterator<Item = u64> {
    let bytes = span_bytes(level);
    (virt / bytes..(virt + len).div_ceil(bytes)).map(move |n| n * bytes)
}
