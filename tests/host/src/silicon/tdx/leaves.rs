//! TDCALL: the leaves that the module serves. Source: 348551, chapter 5.

use super::{
    accept::{Accept, accept},
    attr::{self, Attr},
    invalidate,
    l2::metadata,
    report, system,
    td::Td,
};
use crate::{memory::frames::Memory, svm::vcpu::reg};
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
    /// A leaf meets no page: the host may augment one, then it runs again.
    Missing {
        /// First page.
        gfn: u64,
        /// 2 MiB.
        large: bool,
    },
    /// A leaf meets a 2 MiB page and names 4 KiB of it: the host may split it, then it runs again.
    Demote(u64),
}

/// Registers that TDG.VP.VMCALL can never expose: RAX, RCX, RSP, and what is no register.
const NEVER_EXPOSED: u64 = 1 << 0 | 1 << 1 | 1 << 4 | 0xFFFF_FFFF << 32;
const R9: usize = 9;
const R10: usize = 10;

/// Whether TDG.VP.VMCALL may show the host the registers of this mask.
pub fn may_expose(mask: u64) -> bool {
    mask & NEVER_EXPOSED == 0
}

/// Serves the leaf in RAX: bits 15:0; the version in 23:16 must be 0, as the rest.
pub fn serve(td: &mut Td, memory: &mut Memory, regs: &mut [u64; 16]) -> Served {
    let (rcx, rdx, r8) = (regs[reg::RCX], regs[reg::RDX], regs[reg::R8]);
    let leaf = regs[reg::RAX];
    let status = match leaf {
        VP_VMCALL if may_expose(rcx) => return Served::Vmcall,
        VP_VMCALL => status::OPERAND_INVALID | status::OPERAND_RCX,
        VP_ENTER => return Served::Enter,
        MEM_PAGE_ACCEPT => match accept(&mut td.sept, memory, rcx) {
            Accept::Status(status) => status,
            Accept::Missing { gfn, large } => return Served::Missing { gfn, large },
            Accept::Demote(gfn) => return Served::Demote(gfn),
        },
        MR_REPORT => report::report(td, memory, rcx, rdx, r8),
        MR_RTMR_EXTEND => report::extend(td, memory, rcx, rdx),
        VP_INFO => info(td, regs),
        VP_VEINFO_GET => ve_info(td, regs),
        VP_CPUIDVE_SET if rcx & !0b11 != 0 => status::OPERAND_INVALID | status::OPERAND_RCX,
        VP_CPUIDVE_SET => {
            td.cpuid_ve = rcx;
            status::SUCCESS
        }
        MR_VERIFYREPORT => report::verify(td, memory, rcx),
        SYS_RD => sys_rd(regs),
        SYS_RDALL => {
            let (status, next) = system::read_all(td, memory, rdx, r8);
            regs[reg::R8] = next;
            status
        }
        // No TD is bound to this one: whatever the handle, it leads to no slot.
        SERVTD_RD | SERVTD_WR => {
            if leaf == SERVTD_RD {
                regs[reg::RDX] = field::NONE;
            }
            regs[reg::R8] = 0;
            status::OPERAND_INVALID | status::OPERAND_RCX
        }
        VM_WR => vm_wr(td, regs),
        VM_RD => vm_rd(td, regs),
        VP_RD => vp_rd(td, regs),
        VP_WR => vp_wr(td, regs),
        VP_INVEPT => invalidate::ept(td, rcx),
        VP_INVGLA => invalidate::gla(td, memory, regs),
        MEM_PAGE_ATTR_RD => match attributes(attr::read(td, regs)) {
            Ok(status) => status,
            Err(served) => return again(regs, (rcx, rdx), served),
        },
        MEM_PAGE_ATTR_WR => match attributes(attr::write(td, regs)) {
            Ok(status) => status,
            Err(served) => return again(regs, (rcx, rdx), served),
        },
        _ => {
            regs[reg::RAX] = status::OPERAND_INVALID | status::OPERAND_RAX;
            return Served::Unknown;
        }
    };
    regs[reg::RAX] = status;
    Served::Done
}

/// The leaf runs again with the registers that it had.
fn again(regs: &mut [u64; 16], operands: (u64, u64), served: Served) -> Served {
    (regs[reg::RCX], regs[reg::RDX]) = operands;
    served
}

fn info(td: &Td, regs: &mut [u64; 16]) -> u64 {
    regs[reg::RCX] = page::GPAW;
    regs[reg::RDX] = td.attributes;
    regs[reg::R8] = u64::from(td.vcpus) << 32 | u64::from(td.vcpus);
    regs[R9..=11].fill(0);
    regs[R9] = td.index.into();
    status::SUCCESS
}

fn ve_info(td: &mut Td, regs: &mut [u64; 16]) -> u64 {
    let Some(info) = td.ve.take() else {
        return status::NO_VE_INFO;
    };
    regs[reg::RCX] = info.reason.into();
    regs[reg::RDX] = info.qualification;
    regs[reg::R8] = info.gla;
    regs[R9] = info.gpa;
    regs[R10] = info.length.into();
    status::SUCCESS
}

/// RCX must be 0; R8 is 0 where there is no value.
fn vm_rd(td: &Td, regs: &mut [u64; 16]) -> u64 {
    regs[reg::R8] = 0;
    if regs[reg::RCX] != 0 {
        return status::OPERAND_INVALID | status::OPERAND_RCX;
    }
    match td.field(regs[reg::RDX]) {
        Some(value) => {
            regs[reg::R8] = value;
            status::SUCCESS
        }
        None => status::METADATA_FIELD_ID_INCORRECT,
    }
}

/// RCX must be 0; R8 is the old value, 0 where there is none.
fn vm_wr(td: &mut Td, regs: &mut [u64; 16]) -> u64 {
    let (id, value, mask) = (regs[reg::RDX], regs[reg::R8], regs[R9]);
    regs[reg::R8] = 0;
    if regs[reg::RCX] != 0 {
        return status::OPERAND_INVALID | status::OPERAND_RCX;
    }
    match td.set_field(id, value, mask) {
        Ok(old) => {
            regs[reg::R8] = old;
            status::SUCCESS
        }
        Err(status) => status,
    }
}

fn sys_rd(regs: &mut [u64; 16]) -> u64 {
    let (status, value, next) = match system::read(regs[reg::RDX]) {
        Ok((value, next)) => (status::SUCCESS, value, next),
        Err((status, next)) => (status, 0, next),
    };
    (regs[reg::R8], regs[reg::RDX]) = (value, next);
    status
}

/// R8 is 0 and RDX no field where there is no value. RCX must be 0.
fn vp_rd(td: &Td, regs: &mut [u64; 16]) -> u64 {
    let id = regs[reg::RDX];
    (regs[reg::R8], regs[reg::RDX]) = (0, field::NONE);
    if regs[reg::RCX] != 0 {
        return status::OPERAND_INVALID | status::OPERAND_RCX;
    }
    if id == field::NONE {
        regs[reg::RDX] = metadata::next(td, None);
        return status::METADATA_FIRST_FIELD_ID_IN_CONTEXT;
    }
    match metadata::read(td, id) {
        Ok(value) => {
            (regs[reg::R8], regs[reg::RDX]) = (value, metadata::next(td, Some(id)));
            status::SUCCESS
        }
        Err(status) => status,
    }
}

fn vp_wr(td: &mut Td, regs: &mut [u64; 16]) -> u64 {
    let (id, value, mask) = (regs[reg::RDX], regs[reg::R8], regs[R9]);
    regs[reg::R8] = 0;
    if regs[reg::RCX] != 0 {
        return status::OPERAND_INVALID | status::OPERAND_RCX;
    }
    match metadata::write(td, id, value, mask) {
        Ok(old) => {
            regs[reg::R8] = old;
            status::SUCCESS
        }
        Err(status) => status,
    }
}

fn attributes(end: Attr) -> Result<u64, Served> {
    match end {
        Attr::Status(status) => Ok(status),
        Attr::Missing { gfn, large } => Err(Served::Missing { gfn, large }),
        Attr::Demote(gfn) => Err(Served::Demote(gfn)),
    }
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
            gla: 5,
            gpa: 4,
            length: 2,
        });
        let mut regs = [0; 16];
        regs[0] = VP_VEINFO_GET;
        assert_eq!(call(&mut td, &mut regs), Served::Done);
        assert_eq!(
            (regs[0], regs[1], regs[2], regs[8], regs[9], regs[10]),
            (0, 10, 3, 5, 4, 2)
        );
        regs[0] = VP_VEINFO_GET;
        call(&mut td, &mut regs);
        assert_eq!(regs[0], status::NO_VE_INFO);
    }

    #[test]
    fn l2_exists_only_where_it_is_offered() {
        let mut td = Td::new(2048);
        let run = |td: &mut Td, rax, rcx, rdx, r8| {
            let mut regs = [0; 16];
            (regs[0], regs[1], regs[2], regs[8]) = (rax, rcx, rdx, r8);
            (call(td, &mut regs), regs)
        };
        let (_, regs) = run(&mut td, VM_RD, 0, field::NUM_L2_VMS, 0);
        assert_eq!((regs[0], regs[8]), (0, 0));
        assert_eq!(run(&mut td, VP_ENTER, 0, 0, 0).0, Served::Enter);
        let (_, regs) = run(&mut td, VP_INVEPT, 2, 0, 0);
        assert_eq!(regs[0], status::OPERAND_INVALID | 1);
        assert_eq!(run(&mut td, 99, 0, 0, 0).0, Served::Unknown);
        td.l2_vms = 1;
        let missing = Served::Missing {
            gfn: 0x301,
            large: false,
        };
        let (end, regs) = run(&mut td, MEM_PAGE_ATTR_RD, 0x30_1000, 7, 0);
        assert_eq!(
            (end, regs[0], regs[1], regs[2]),
            (missing, MEM_PAGE_ATTR_RD, 0x30_1000, 7)
        );
    }

    #[test]
    fn fields_come_back_in_r8_and_rdx() {
        let mut td = Td::new(2048);
        td.l2_vms = 1;
        let run = |td: &mut Td, rax, rcx, rdx, r8, r9| {
            let mut regs = [0; 16];
            (regs[0], regs[1], regs[2], regs[8], regs[9]) = (rax, rcx, rdx, r8, r9);
            call(td, &mut regs);
            (regs[0], regs[2], regs[8])
        };
        let deadline = field::TSC_DEADLINE_VM1;
        let old = run(&mut td, VP_WR, 0, deadline, 5, u64::MAX);
        assert_eq!(old, (0, deadline, u64::MAX));
        assert_eq!(run(&mut td, VP_RD, 0, deadline, 9, 0), (0, deadline + 1, 5));
        let unknown = (status::METADATA_FIELD_ID_INCORRECT, field::NONE, 0);
        assert_eq!(run(&mut td, VP_RD, 0, 1 << 62, 9, 0), unknown);
        let invalid = status::OPERAND_INVALID | 1;
        assert_eq!(run(&mut td, VP_RD, 1, deadline, 9, 0).0, invalid);
        assert_eq!(run(&mut td, VP_WR, 1, deadline, 9, 9).0, invalid);
        let first = run(&mut td, VP_RD, 0, field::NONE, 9, 0);
        assert_eq!(first.0, status::METADATA_FIRST_FIELD_ID_IN_CONTEXT);
        assert_eq!(first.1, field::VCPU_INDEX);
        let version = run(&mut td, VP_RD | 1 << 16, 0, deadline, 9, 0);
        assert_eq!(version.0, status::OPERAND_INVALID);
    }

    #[test]
    fn cpuid_control_has_two_bits() {
        let mut td = Td::new(2048);
        for (rcx, status) in [(3, 0), (4, status::OPERAND_INVALID | 1), (1, 0)] {
            let mut regs = [0; 16];
            (regs[0], regs[1]) = (VP_CPUIDVE_SET, rcx);
            call(&mut td, &mut regs);
            assert_eq!(regs[0], status, "{rcx}");
        }
        assert_eq!(td.cpuid_ve, 1);
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
