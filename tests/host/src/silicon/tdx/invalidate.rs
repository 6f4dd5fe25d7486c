//! TDG.VP.INVEPT and TDG.VP.INVGLA. Translations of a linear address are never cached here, so
//! the second only checks its operands. Source: 348551, the leaves' pages.

use super::{l2::check::canonical, td::Td};
use crate::{
    memory::frames::{Memory, PAGE},
    svm::vcpu::reg,
};
use tessera_defs::tdx::{page, status};

const LIST: u64 = 1 << 0;
const VM_SHIFT: u32 = 52;
/// Entries that a list page holds.
const ENTRIES: u64 = 512;

/// INVEPT: RCX bitmap of VMs. Status.
pub fn ept(td: &mut Td, vms: u64) -> u64 {
    if vms & 1 != 0 || vms >> (td.l2_vms + 1) != 0 {
        return status::OPERAND_INVALID | status::OPERAND_RCX;
    }
    td.l2.flush |= vms != 0;
    status::SUCCESS
}

/// INVGLA: RCX VM and flags, RDX an entry or a list; the list moves on in RDX. Status.
pub fn gla(td: &Td, memory: &mut Memory, regs: &mut [u64; 16]) -> u64 {
    let (rcx, rdx) = (regs[reg::RCX], regs[reg::RDX]);
    let vm = rcx >> VM_SHIFT;
    if vm == 0 || vm > td.l2_vms || rcx & ((1 << VM_SHIFT) - 1) & !LIST != 0 {
        return status::OPERAND_INVALID | status::OPERAND_RCX;
    }
    if rcx & LIST == 0 {
        return entry(rdx);
    }
    let (mut first, mut left) = (rdx & 0x1FF, rdx >> 52 & 0x3FF);
    let gpa = rdx & 0x000F_FFFF_FFFF_F000;
    let malformed = rdx & (7 << 9 | 3 << 62) != 0 || first + left > ENTRIES;
    let frame = td.sept.mapped(gpa / PAGE as u64);
    let (Some(frame), false) = (frame, malformed || gpa >> page::SHARED_BIT != 0) else {
        return status::OPERAND_INVALID | status::OPERAND_RDX;
    };
    while left > 0 {
        let found = memory.read_u64(frame, first as usize * 8);
        let end = entry(found.unwrap_or(0));
        if end != status::SUCCESS {
            return end;
        }
        (first, left) = (first + 1, left - 1);
    }
    regs[reg::RDX] = first | gpa;
    status::SUCCESS
}

/// Bits 63:12 first page, 11:0 pages after it.
fn entry(entry: u64) -> u64 {
    let (first, more) = (entry & !0xFFF, entry & 0xFFF);
    let last = first.wrapping_add(more * PAGE as u64);
    match canonical(first) && canonical(last) {
        true => status::SUCCESS,
        false => status::GLA_NOT_CANONICAL,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn td() -> (Td, Memory) {
        let mut td = Td::new(2048);
        td.l2_vms = 1;
        td.sept.add(0x300, 0x300);
        let bytes: &'static mut [u8] = std::vec![0u8; (8 << 20) + 64 * 4096].leak();
        (td, Memory::new(bytes, 8 << 20))
    }

    #[test]
    fn only_vms_that_exist_are_flushed() {
        let (mut td, _) = td();
        let invalid = status::OPERAND_INVALID | 1;
        assert_eq!(ept(&mut td, 1), invalid);
        assert_eq!(ept(&mut td, 4), invalid);
        assert!(!td.l2.flush);
        assert_eq!(ept(&mut td, 2), 0);
        assert!(td.l2.flush);
    }

    #[test]
    fn addresses_must_be_canonical_and_lists_whole() {
        let (td, mut memory) = td();
        let mut run = |rcx, rdx| {
            let mut regs = [0; 16];
            (regs[reg::RCX], regs[reg::RDX]) = (rcx, rdx);
            (gla(&td, &mut memory, &mut regs), regs[reg::RDX])
        };
        let vm = 1 << 52;
        assert_eq!(run(vm, 0xFFFF_8000_0000_1003).0, 0);
        assert_eq!(run(vm, 1 << 50).0, status::GLA_NOT_CANONICAL);
        assert_eq!(run(vm | 2, 0).0, status::OPERAND_INVALID | 1);
        assert_eq!(run(2 << 52, 0).0, status::OPERAND_INVALID | 1);
        let list = 3 << 52 | 0x30_0000 | 1;
        assert_eq!(run(vm | 1, list), (0, 0x30_0004));
        assert_eq!(
            run(vm | 1, 512 << 52 | 0x30_0001).0,
            status::OPERAND_INVALID | 2
        );
        assert_eq!(
            run(vm | 1, 1 << 52 | 0x40_0000).0,
            status::OPERAND_INVALID | 2
        );
    }
}
