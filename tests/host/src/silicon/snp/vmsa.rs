//! Between a save area in guest memory and a context that SVM runs.
//! Source: APM vol. 2, tables B-2 and B-4.

use crate::svm::vcpu::Vcpu;
use tessera_defs::snp::{
    status::features,
    vmsa::{Vmsa, vintr},
};

macro_rules! each_field {
    ($do:ident) => {
        $do!(es cs ss ds fs gs gdtr ldtr idtr tr cpl efer cr4 cr3 cr0 dr7 dr6 rflags rip star lstar
            cstar sfmask kernel_gs_base sysenter_cs sysenter_esp sysenter_eip cr2 g_pat);
    };
}

/// VMRUN's load of a save area.
pub fn load(vmsa: &Vmsa, vcpu: &mut Vcpu) {
    let save = &mut vcpu.vmcb.save;
    macro_rules! copy { ($($field:ident)*) => { $(save.$field = vmsa.$field;)* }; }
    each_field!(copy);
    vcpu.regs = [
        vmsa.rax, vmsa.rcx, vmsa.rdx, vmsa.rbx, vmsa.rsp, vmsa.rbp, vmsa.rsi, vmsa.rdi, vmsa.r8,
        vmsa.r9, vmsa.r10, vmsa.r11, vmsa.r12, vmsa.r13, vmsa.r14, vmsa.r15,
    ];
    let fpu = &mut vcpu.fpu.0;
    fpu[..2].copy_from_slice(&vmsa.x87_fcw.to_le_bytes());
    fpu[2..4].copy_from_slice(&vmsa.x87_fsw.to_le_bytes());
    fpu[24..28].copy_from_slice(&vmsa.mxcsr.to_le_bytes());
    fpu[160..416].copy_from_slice(&vmsa.fpreg_xmm);
    vcpu.fpu.holds_legacy();
    if alternate(vmsa) {
        load_interrupts(vmsa, vcpu);
    }
}

/// Interrupts and events of the context are its save area's, and the host's fields are ignored.
pub fn alternate(vmsa: &Vmsa) -> bool {
    vmsa.sev_features & features::ALTERNATE_INJECTION != 0
}

fn load_interrupts(vmsa: &Vmsa, vcpu: &mut Vcpu) {
    let (control, wanted) = (&mut vcpu.vmcb.control, vmsa.vintr_ctrl);
    control.event_inj = vmsa.event_inj;
    control.interrupt_shadow = u64::from(wanted & vintr::SHADOW != 0);
    let vector = (wanted >> vintr::VECTOR_SHIFT) as u8;
    let offered = wanted & vintr::IRQ != 0;
    vcpu.offer_interrupt(offered.then_some(vector));
}

fn store_interrupts(vcpu: &Vcpu, vmsa: &mut Vmsa) {
    let control = &vcpu.vmcb.control;
    vmsa.event_inj = control.event_inj;
    let mut now = vmsa.vintr_ctrl & !(vintr::IRQ | vintr::SHADOW);
    if !vcpu.interrupt_taken() {
        now |= vintr::IRQ;
    }
    if control.interrupt_shadow & 1 != 0 {
        now |= vintr::SHADOW;
    }
    vmsa.vintr_ctrl = now;
}

/// #VMEXIT's store into a save area. GUEST_EXIT_* and the feature fields are left alone.
pub fn store(vcpu: &Vcpu, vmsa: &mut Vmsa) {
    let save = &vcpu.vmcb.save;
    macro_rules! copy { ($($field:ident)*) => { $(vmsa.$field = save.$field;)* }; }
    each_field!(copy);
    [
        vmsa.rax, vmsa.rcx, vmsa.rdx, vmsa.rbx, vmsa.rsp, vmsa.rbp, vmsa.rsi, vmsa.rdi, vmsa.r8,
        vmsa.r9, vmsa.r10, vmsa.r11, vmsa.r12, vmsa.r13, vmsa.r14, vmsa.r15,
    ] = vcpu.regs;
    let fpu = &vcpu.fpu.0;
    vmsa.x87_fcw = u16::from_le_bytes([fpu[0], fpu[1]]);
    vmsa.x87_fsw = u16::from_le_bytes([fpu[2], fpu[3]]);
    vmsa.mxcsr = u32::from_le_bytes([fpu[24], fpu[25], fpu[26], fpu[27]]);
    vmsa.fpreg_xmm.copy_from_slice(&fpu[160..416]);
    if alternate(vmsa) {
        store_interrupts(vcpu, vmsa);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::svm::bitmaps::Bitmaps;
    use std::boxed::Box;
    use zerocopy::{FromBytes, FromZeros, IntoBytes};

    #[test]
    fn interrupts_are_the_save_areas_only_with_alternate_injection() {
        let mut vcpu = Vcpu::new(Box::leak(Bitmaps::new()), 0);
        let mut area = Vmsa::new_zeroed();
        area.vintr_ctrl = vintr::IRQ | 0x40 << vintr::VECTOR_SHIFT | vintr::SHADOW;
        area.event_inj = 1 << 31 | 13;
        load(&area, &mut vcpu);
        assert!(vcpu.interrupt_taken() && vcpu.vmcb.control.event_inj == 0);
        area.sev_features = features::ALTERNATE_INJECTION;
        load(&area, &mut vcpu);
        assert!(!vcpu.interrupt_taken());
        assert_eq!(vcpu.vmcb.control.int_vector, 0x40);
        assert_eq!(vcpu.vmcb.control.event_inj, 1 << 31 | 13);
        assert_eq!(vcpu.vmcb.control.interrupt_shadow, 1);
        vcpu.offer_interrupt(None);
        vcpu.vmcb.control.interrupt_shadow = 0;
        store(&vcpu, &mut area);
        assert_eq!(area.vintr_ctrl, 0x40 << vintr::VECTOR_SHIFT);
    }

    #[test]
    fn what_is_loaded_is_stored_again() {
        let bytes: std::vec::Vec<u8> = (0..4096).map(|i| (i % 253) as u8).collect();
        let area = Vmsa::read_from_bytes(&bytes).unwrap();
        let mut vcpu = Vcpu::new(Box::leak(Bitmaps::new()), 0);
        load(&area, &mut vcpu);
        assert_eq!(vcpu.vmcb.save.rip, area.rip);
        let mut stored = Vmsa::new_zeroed();
        store(&vcpu, &mut stored);
        let (old, new) = (area.as_bytes(), stored.as_bytes());
        // Segments, CPL and EFER; control registers to RIP; RSP; RAX..CR2; RCX; RBP..R15.
        for range in [0..0xA0, 0xCB..0xCC, 0xD0..0xD8, 0x148..0x180, 0x1D8..0x1E0] {
            assert_eq!(old[range.clone()], new[range]);
        }
        for range in [0x1F8..0x248, 0x308..0x320, 0x328..0x380, 0x470..0x570] {
            assert_eq!(old[range.clone()], new[range]);
        }
    }
}
