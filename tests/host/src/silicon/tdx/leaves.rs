//! TDCALL: the leaves that the module serves. Source: 348551, chapter 5.

use super::{
    accept::{Accept, accept},
    report,
    td::Td,
};
use crate::{
    memory::frames::{Memory, PAGE},
    svm::vcpu::reg,
};
use tessera_defs::tdx::{field, page, status, tdcall::*};

/// What a TDCALL comes to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Served {
    /// Done: RAX has the status.
    Done,
    /// No such leaf: RAX has the status.
    Unknown,
    /// TDG.VP.VMCALL: the host is asked.
    Vmcall,
    /// TDG.VP.ENTER of an L2 VM.
    Enter,
    /// TDG.MEM.PAGE.ACCEPT meets no page: the host may augment one, then it runs again.
    Missing {
        /// First page.
        gfn: u64,
        /// 2 MiB.
        large: bool,
    },
}

/// Registers that TDG.VP.VMCALL can never expose: RAX, RCX, RSP, and what is no register.
const NEVER_EXPOSED: u64 = 1 << 0 | 1 << 1 | 1 << 4 | 0xFFFF_FFFF << 32;
const OPERAND_RAX: u64 = 0;
const R9: usize = 9;
const R10: usize = 10;

/// Serves the leaf in RAX (15:0; version in 23:16).
pub fn serve(td: &mut Td, memory: &mut Memory, regs: &mut [u64; 16]) -> Served {
    let (rcx, rdx, r8) = (regs[reg::RCX], regs[reg::RDX], regs[reg::R8]);
    let leaf = regs[reg::RAX] & 0xFFFF;
    let status = match leaf {
        VP_VMCALL if rcx & NEVER_EXPOSED == 0 => return Served::Vmcall,
        VP_VMCALL => status::OPERAND_INVALID | status::OPERAND_RCX,
        VP_ENTER if td.l2_vms > 0 => return Served::Enter,
        MEM_PAGE_ACCEPT => match accept(&mut td.sept, memory, rcx) {
            Accept::Status(status) => status,
            Accept::Missing { gfn, large } => return Served::Missing { gfn, large },
        },
        MR_REPORT => report::report(td, memory, rcx, rdx, r8),
        MR_RTMR_EXTEND => report::extend(td, memory, rcx, rdx),
        VP_INFO => info(td, regs),
        VP_VEINFO_GET => ve_info(td, regs),
        VM_RD => vm_rd(td, regs),
        MEM_PAGE_ATTR_RD => attr_rd(td, regs),
        MEM_PAGE_ATTR_WR => attr_wr(td, regs),
        _ => {
            regs[reg::RAX] = status::OPERAND_INVALID | OPERAND_RAX;
            return Served::Unknown;
        }
    };
    regs[reg::RAX] = status;
    Served::Done
}

fn info(td: &Td, regs: &mut [u64; 16]) -> u64 {
    regs[reg::RCX] = page::GPAW;
    regs[reg::RDX] = td.attributes;
    regs[reg::R8] = u64::from(td.vcpus) << 32 | u64::from(td.vcpus);
    regs[R9..=11].fill(0);
    status::SUCCESS
}

fn ve_info(td: &mut Td, regs: &mut [u64; 16]) -> u64 {
    let Some(info) = td.ve.take() else {
        return status::NO_VE_INFO;
    };
    regs[reg::RCX] = info.reason.into();
    regs[reg::RDX] = info.qualification;
    regs[reg::R8] = 0;
    regs[R9] = info.gpa;
    regs[R10] = info.length.into();
    status::SUCCESS
}

fn vm_rd(td: &Td, regs: &mut [u64; 16]) -> u64 {
    let value = match regs[reg::RDX] {
        field::NUM_L2_VMS => td.l2_vms,
        field::TD_ATTRIBUTES => td.attributes,
        _ => {
            regs[reg::R8] = 0;
            return status::METADATA_FIELD_ID_INCORRECT;
        }
    };
    regs[reg::R8] = value;
    status::SUCCESS
}

fn attr_rd(td: &Td, regs: &mut [u64; 16]) -> u64 {
    let gpa = regs[reg::RCX];
    if gpa & 0xFFF != 0 || gpa >> page::SHARED_BIT != 0 {
        return status::OPERAND_INVALID | status::OPERAND_RCX;
    }
    let gfn = gpa / PAGE as u64;
    if td.sept.mapped(gfn).is_none() {
        return status::EPT_WALK_FAILED | status::OPERAND_RCX;
    }
    let entry = td.sept.get(gfn);
    regs[reg::RCX] = gpa | u64::from(entry.large);
    regs[reg::RDX] =
        page::attr::RWX | page::attr::VALID | u64::from(entry.l2) << page::attr::L2_VM1_SHIFT;
    status::SUCCESS
}

fn attr_wr(td: &mut Td, regs: &mut [u64; 16]) -> u64 {
    let (gpa, attributes, mask) = (regs[reg::RCX] & !7, regs[reg::RDX], regs[reg::R8]);
    let count = if regs[reg::RCX] & 7 == page::LEVEL_2M {
        super::accept::LARGE
    } else {
        1
    };
    if regs[reg::RCX] & 7 > page::LEVEL_2M
        || !gpa.is_multiple_of(count * PAGE as u64)
        || gpa >> page::SHARED_BIT != 0
    {
        return status::OPERAND_INVALID | status::OPERAND_RCX;
    }
    // L1's own attributes cannot be changed, and VMs that do not exist have none.
    let own = 0xFFFF
        | if td.l2_vms == 0 {
            u64::MAX
        } else {
            u64::MAX << 32
        };
    if mask & own != 0 {
        return status::OPERAND_INVALID | status::OPERAND_R8;
    }
    let first = gpa / PAGE as u64;
    if (first..first + count).any(|gfn| td.sept.mapped(gfn).is_none()) {
        return status::EPT_WALK_FAILED | status::OPERAND_RCX;
    }
    let mask = (mask & !(page::attr::MASK_INV_EPT << page::attr::L2_VM1_SHIFT)) >> 16;
    let (mask, value) = (mask as u16, (attributes >> page::attr::L2_VM1_SHIFT) as u16);
    for gfn in first..first + count {
        if let Some(entry) = td.sept.entry(gfn) {
            entry.l2 = entry.l2 & !mask | value & mask;
        }
    }
    attr_rd(td, regs)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::silicon::tdx::ve::Info;

    fn call(td: &mut Td, regs: &mut [u64; 16]) -> Served {
        let bytes: &'static mut [u8] = std::vec![0u8; (8 << 20) + 64 * 4096].leak();
        serve(td, &mut Memory::new(bytes, 8 << 20), regs)
    }

    #[test]
    fn ve_information_is_given_once() {
        let mut td = Td::new(2048);
        td.ve = Some(Info {
            reason: 10,
            qualification: 3,
            gpa: 4,
            length: 2,
        });
        let mut regs = [0; 16];
        regs[0] = VP_VEINFO_GET;
        assert_eq!(call(&mut td, &mut regs), Served::Done);
        assert_eq!(
            (regs[0], regs[1], regs[2], regs[9], regs[10]),
            (0, 10, 3, 4, 2)
        );
        regs[0] = VP_VEINFO_GET;
        call(&mut td, &mut regs);
        assert_eq!(regs[0], status::NO_VE_INFO);
    }

    #[test]
    fn l2_exists_only_where_it_is_offered() {
        let mut td = Td::new(2048);
        td.sept.add(0x300, 0x300);
        let run = |td: &mut Td, rax, rcx, rdx, r8| {
            let mut regs = [0; 16];
            (regs[0], regs[1], regs[2], regs[8]) = (rax, rcx, rdx, r8);
            (call(td, &mut regs), regs)
        };
        let (_, regs) = run(&mut td, VM_RD, 0, field::NUM_L2_VMS, 0);
        assert_eq!((regs[0], regs[8]), (0, 0));
        assert_eq!(run(&mut td, VP_ENTER, 0, 0, 0).0, Served::Unknown);
        let (_, regs) = run(
            &mut td,
            MEM_PAGE_ATTR_WR,
            0x30_0000,
            0x8003_0000,
            0x800F_0000,
        );
        assert_eq!(regs[0], status::OPERAND_INVALID | status::OPERAND_R8);
        td.l2_vms = 1;
        let (_, regs) = run(
            &mut td,
            MEM_PAGE_ATTR_WR,
            0x30_0000,
            0x0003_0000,
            0x000F_0000,
        );
        assert_eq!((regs[0], regs[2]), (0, 0x0003_800F));
        let (_, regs) = run(&mut td, MEM_PAGE_ATTR_RD, 0x30_1000, 0, 0);
        assert_eq!(regs[0], status::EPT_WALK_FAILED | 1);
        assert_eq!(run(&mut td, 99, 0, 0, 0).0, Served::Unknown);
    }

    #[test]
    fn a_vmcall_cannot_expose_the_stack_pointer() {
        let mut td = Td::new(2048);
        let mut regs = [0; 16];
        regs[1] = 1 << 4;
        assert_eq!(call(&mut td, &mut regs), Served::Done);
        assert_eq!(regs[0], status::OPERAND_INVALID | 1);
        (regs[0], regs[1]) = (0, 0xFC00);
        assert_eq!(call(&mut td, &mut regs), Served::Vmcall);
    }
}
