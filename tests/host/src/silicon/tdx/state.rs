//! The state in which the module starts a processor. Source: 348549, "Initial State of TD
//! VCPUs": 32-bit protected mode at the reset vector, EFER.LME set and fixed.
//!
//! QEMU 7.2 fetches through no nested tables while a guest's paging is off, so the model starts
//! with paging on instead: compatibility mode over identity tables of its own, at an address
//! that no TD owns. The guest's way to long mode runs unchanged (its writes of CR4.PAE, CR3 and
//! CR0.PG find PAE and PG set), so this cannot show that it sets them.

use crate::{
    memory::frames::{Memory, PAGE},
    svm::{
        vcpu::{Vcpu, reg},
        vmcb,
    },
};
use tessera_defs::{
    snp::vmsa::{ATTRIB_DATA, ATTRIB_LDT, ATTRIB_TSS, Segment},
    tdx::page,
    x86::efer,
};

/// Reset vector.
pub const RESET_VECTOR: u64 = 0xFFFF_FFF0;
/// Present, code, readable, accessed, 4 KiB granularity, 32 bit.
const ATTRIB_CODE32: u16 = 0xC9B;
/// PE, ET, NE; PG is the model's own.
const CR0: u64 = 1 << 0 | 1 << 4 | 1 << 5 | 1 << 31;
/// MCE; PAE is the model's own.
const CR4: u64 = 1 << 6 | 1 << 5;
/// The model's identity tables, two pages: PML4 and PDPT.
pub const TABLES: u64 = (1 << page::SHARED_BIT) - 2 * PAGE as u64;
/// Present, writable, accessed, dirty.
const ENTRY: u64 = 0x63;
/// A large page.
const LARGE: u64 = 0x80;

/// Fills the identity tables of the first 4 GiB: PML4 and PDPT frames.
pub fn tables(memory: &mut Memory) -> Option<[u32; 2]> {
    let frames = [memory.spare()?, memory.spare()?];
    let mut put = |frame, index: usize, entry: u64| {
        memory
            .page(frame)?
            .get_mut(index * 8..index * 8 + 8)?
            .copy_from_slice(&entry.to_le_bytes());
        Some(())
    };
    put(frames[0], 0, (TABLES + PAGE as u64) | ENTRY)?;
    (0..4).try_for_each(|gib| put(frames[1], gib, (gib as u64) << 30 | ENTRY | LARGE))?;
    Some(frames)
}

/// Starts processor `index`. SVME is the model's own too: SVM demands it.
pub fn reset(vcpu: &mut Vcpu, index: u32) {
    let flat = |attrib| Segment {
        attrib,
        limit: u32::MAX,
        ..Segment::default()
    };
    // Without ATTRIBUTES.PERFMON, RDPMC exits to the module.
    vcpu.vmcb.control.intercept_1 |= vmcb::INTERCEPT_1_RDPMC;
    let save = &mut vcpu.vmcb.save;
    save.cs = flat(ATTRIB_CODE32);
    let data = flat(ATTRIB_DATA);
    (save.ss, save.ds, save.es, save.fs, save.gs) = (data, data, data, data, data);
    save.tr = Segment {
        attrib: ATTRIB_TSS,
        limit: 0xFFFF,
        ..Segment::default()
    };
    save.ldtr = Segment {
        attrib: ATTRIB_LDT,
        limit: 0xFFFF,
        ..Segment::default()
    };
    save.gdtr = Segment::default();
    save.idtr = Segment::default();
    (save.cr0, save.cr4, save.cr3) = (CR0, CR4, TABLES);
    save.efer = efer::LME | efer::LMA | efer::NXE | efer::SCE | efer::SVME;
    save.rip = RESET_VECTOR;
    save.rflags = 2;
    vcpu.regs = [0; 16];
    vcpu.regs[reg::RBX] = page::GPAW;
    vcpu.regs[reg::RSI] = index.into();
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_tables_are_identity_up_to_the_reset_vector() {
        let bytes: &'static mut [u8] = std::vec![0u8; (8 << 20) + 64 * 4096].leak();
        let mut memory = Memory::new(bytes, 8 << 20);
        let [top, next] = tables(&mut memory).unwrap();
        assert_eq!(memory.read_u64(top, 0).unwrap() & !0xFFF, TABLES + 4096);
        assert_eq!(memory.read_u64(next, 24), Some(3 << 30 | 0xE3));
        assert_eq!(memory.read_u64(next, 32), Some(0));
    }
}
