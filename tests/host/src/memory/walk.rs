//! The guest's own translation, for what the processor does on the guest's behalf: fetching an
//! instruction to decode, pushing an exception frame. Source: APM vol. 2, 5.3.

use crate::svm::vmcb::Save;

/// Reads and writes guest-physical memory as the running context would, C-bit or shared bit
/// included in the address; `None` where the access would not succeed.
pub trait Physical {
    /// Eight bytes, aligned.
    fn read_u64(&mut self, gpa: u64) -> Option<u64>;
    /// An entry of the guest's own tables, which the processor may read otherwise than data.
    fn read_entry(&mut self, gpa: u64) -> Option<u64> {
        self.read_u64(gpa)
    }
    /// Eight bytes, aligned.
    fn write_u64(&mut self, gpa: u64, value: u64) -> Option<()>;
}

/// A translation: address with all bits of the entry, and whether every level allows writing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Translation {
    /// Guest-physical address with C-bit, shared bit or vTOM bit as the leaf has it.
    pub gpa: u64,
    /// Writable.
    pub write: bool,
    /// Bytes that the leaf maps.
    pub size: u64,
}

const CR0_PG: u64 = 1 << 31;
const CR4_LA57: u64 = 1 << 12;
/// Bits 51:12 of an entry.
const ADDRESS: u64 = 0x000F_FFFF_FFFF_F000;

/// Translates a virtual (linear) address. Only identity and long-mode paging are known;
/// `None` where an entry is not present.
pub fn translate(save: &Save, memory: &mut dyn Physical, virt: u64) -> Option<Translation> {
    if save.cr0 & CR0_PG == 0 {
        return Some(Translation {
            gpa: virt & 0xFFFF_FFFF,
            write: true,
            size: 4096,
        });
    }
    let mut table = save.cr3 & ADDRESS;
    let mut write = true;
    let top = if save.cr4 & CR4_LA57 != 0 { 4 } else { 3 };
    for level in (0..=top).rev() {
        let index = virt >> (12 + 9 * level) & 511;
        let entry = memory.read_entry(table + index * 8)?;
        if entry & 1 == 0 {
            return None;
        }
        write &= entry & 2 != 0;
        let size = 4096u64 << (9 * level);
        if level == 0 || entry & 0x80 != 0 && level <= 2 {
            let base = entry & ADDRESS & !(size - 1);
            return Some(Translation {
                gpa: base | virt & (size - 1),
                write,
                size,
            });
        }
        table = entry & ADDRESS;
    }
    None
}

/// Reads `into.len()` bytes at a virtual address; the count that could be read.
pub fn read(save: &Save, memory: &mut dyn Physical, virt: u64, into: &mut [u8]) -> usize {
    for (i, byte) in into.iter_mut().enumerate() {
        let at = virt.wrapping_add(i as u64);
        let word = translate(save, memory, at).and_then(|t| memory.read_u64(t.gpa & !7));
        match word {
            Some(word) => *byte = word.to_le_bytes()[at as usize & 7],
            None => return i,
        }
    }
    into.len()
}

/// Reads eight bytes, aligned.
pub fn read_u64(save: &Save, memory: &mut dyn Physical, virt: u64) -> Option<u64> {
    let gpa = translate(save, memory, virt)?.gpa;
    memory.read_u64(gpa)
}

/// Writes eight bytes, aligned.
pub fn write_u64(save: &Save, memory: &mut dyn Physical, virt: u64, value: u64) -> Option<()> {
    let found = translate(save, memory, virt)?;
    memory.write_u64(found.write.then_some(found.gpa)?, value)
}
