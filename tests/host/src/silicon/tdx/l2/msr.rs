//! RDMSR and WRMSR of an L2 VM: L1's bitmap first, then what the module lets through. Source:
//! 354807, "MSR"; 348549, "MSR Virtualization". What the module would answer with #GP by its
//! own table exits to L1 here, except in the x2APIC's range.

use super::vm::Vm;
use crate::svm::vmcb::Save;
use tessera_defs::x86::{self, efer, x2apic};

const TSC: u32 = 0x10;
const SYSENTER_CS: u32 = 0x174;
const SYSENTER_ESP: u32 = 0x175;
const SYSENTER_EIP: u32 = 0x176;
const XSS: u32 = 0xDA0;

/// Who serves an access.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Served {
    /// L1.
    L1,
    /// The virtual-APIC page.
    Apic,
    /// The time stamp.
    Tsc,
    /// A register of the save area; what RDMSR returns.
    Register(u64),
    /// #GP(0).
    Fault,
}

/// Whether L1's bitmap or the lack of one sends the access to L1.
fn exits(vm: &Vm, msr: u32, write: bool) -> bool {
    let base = match msr {
        0..=0x1FFF => 0,
        0xC000_0000..=0xC000_1FFF => 0x2000,
        _ => return true,
    };
    let bit = base + (msr & 0x1FFF) as usize + if write { 0x4000 } else { 0 };
    vm.bitmaps[bit / 64] >> (bit % 64) & 1 == 1
}

/// Serves the access, as far as the save area goes. `write` is the value of a WRMSR.
pub fn access(vm: &Vm, save: &mut Save, msr: u32, write: Option<u64>) -> Served {
    if exits(vm, msr, write.is_some()) {
        return Served::L1;
    }
    match (msr, write) {
        (TSC, None) => Served::Tsc,
        (x2apic::TPR..=0x80C | 0x80E | 0x810..=0x827 | x2apic::SELF_IPI, _) => Served::Apic,
        (x86::MSR_EFER, Some(value)) => write_efer(save, value),
        (x86::MSR_EFER, None) => Served::Register(save.efer & !efer::SVME),
        (x86::MSR_PAT, Some(value)) if !memory_types(value) => Served::Fault,
        (XSS, None | Some(0)) => Served::Register(0),
        (XSS, Some(_)) => Served::Fault,
        _ => register(save, msr, write),
    }
}

fn register(save: &mut Save, msr: u32, write: Option<u64>) -> Served {
    let place = match msr {
        SYSENTER_CS => &mut save.sysenter_cs,
        SYSENTER_ESP => &mut save.sysenter_esp,
        SYSENTER_EIP => &mut save.sysenter_eip,
        x86::MSR_PAT => &mut save.g_pat,
        x86::MSR_STAR => &mut save.star,
        x86::MSR_LSTAR => &mut save.lstar,
        x86::MSR_SFMASK => &mut save.sfmask,
        x86::MSR_FS_BASE => &mut save.fs.base,
        x86::MSR_GS_BASE => &mut save.gs.base,
        x86::MSR_KERNEL_GS_BASE => &mut save.kernel_gs_base,
        _ => return Served::L1,
    };
    if let Some(value) = write {
        *place = value;
    }
    Served::Register(*place)
}

/// Only SCE and LME may change, and LME only without paging.
fn write_efer(save: &mut Save, value: u64) -> Served {
    let old = save.efer & !efer::SVME;
    let changed = (old ^ value) & !efer::LMA;
    if changed & !(efer::SCE | efer::LME) != 0 {
        return Served::L1;
    }
    if changed & efer::LME != 0 && save.cr0 >> 31 & 1 == 1 {
        return Served::Fault;
    }
    save.efer ^= changed;
    Served::Register(0)
}

fn memory_types(pat: u64) -> bool {
    let types = pat.to_le_bytes();
    types.iter().all(|kind| matches!(kind, 0 | 1 | 4..=7))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::svm::{bitmaps::Bitmaps, vcpu::Vcpu};
    use alloc::boxed::Box;

    fn pass(vm: &mut Vm, msr: u32) {
        for write in [0, 0x4000] {
            let high = if msr >= 0xC000_0000 { 0x2000 } else { 0 };
            let bit = write + high + (msr & 0x1FFF) as usize;
            vm.bitmaps[bit / 64] &= !(1 << (bit % 64));
        }
    }

    #[test]
    fn l1_sees_all_until_it_gives_registers_up() {
        let mut vm = Vm::new(u64::MAX);
        let mut vcpu = Vcpu::new(Box::leak(Bitmaps::new()), 0);
        let save = &mut vcpu.vmcb.save;
        assert_eq!(access(&vm, save, x86::MSR_LSTAR, Some(7)), Served::L1);
        assert_eq!(save.lstar, 0);
        pass(&mut vm, x86::MSR_LSTAR);
        let done = access(&vm, save, x86::MSR_LSTAR, Some(7));
        assert_eq!((done, save.lstar), (Served::Register(7), 7));
        pass(&mut vm, x2apic::EOI);
        assert_eq!(access(&vm, save, x2apic::EOI, Some(0)), Served::Apic);
        assert_eq!(access(&vm, save, x2apic::TPR, None), Served::L1);
        pass(&mut vm, 0xC000_0103);
        assert_eq!(access(&vm, save, 0xC000_0103, None), Served::L1);
        assert_eq!(access(&vm, save, 0xC001_0130, None), Served::L1);
    }

    #[test]
    fn efer_hides_svm_and_keeps_nxe() {
        let mut vm = Vm::new(u64::MAX);
        pass(&mut vm, x86::MSR_EFER);
        let mut vcpu = Vcpu::new(Box::leak(Bitmaps::new()), 0);
        let save = &mut vcpu.vmcb.save;
        (save.efer, save.cr0) = (0x1D00, 1 << 31);
        assert_eq!(
            access(&vm, save, x86::MSR_EFER, None),
            Served::Register(0xD00)
        );
        access(&vm, save, x86::MSR_EFER, Some(0xD01));
        assert_eq!(save.efer, 0x1D01);
        assert_eq!(access(&vm, save, x86::MSR_EFER, Some(0x501)), Served::L1);
        assert_eq!(access(&vm, save, x86::MSR_EFER, Some(0xC01)), Served::Fault);
    }

    #[test]
    fn without_paging_a_processor_on_its_way_to_long_mode_sets_lme_itself() {
        let mut vm = Vm::new(u64::MAX);
        pass(&mut vm, x86::MSR_EFER);
        let mut vcpu = Vcpu::new(Box::leak(Bitmaps::new()), 0);
        let save = &mut vcpu.vmcb.save;
        // After INIT, but for NXE; then what Linux's start trampoline writes.
        (save.efer, save.cr0) = (0x1800, 0x5_0033);
        let written = access(&vm, save, x86::MSR_EFER, Some(0x901));
        assert_eq!((written, save.efer), (Served::Register(0), 0x1901));
        // LMA follows paging alone.
        access(&vm, save, x86::MSR_EFER, Some(0xD01));
        assert_eq!(save.efer, 0x1901);
    }
}
