//! The L2 VM's state between the VMCS, L2_ENTER_GUEST_STATE and the context that SVM runs.

use super::{event::Entry, segment, vmcs::Vmcs};
use crate::svm::vcpu::{Vcpu, reg};
use tessera_defs::{
    tdx::tdcall::L2EnterState,
    vmx::{control::entry, interruptibility, vmcs},
    x86::efer,
};

/// CR4.VMXE: fixed 1 in the VMCS; SVM knows no such bit.
const VMXE: u64 = 1 << 13;
const CR0_ET: u64 = 1 << 4;
const RFLAGS_IF: u64 = 1 << 9;

/// Fills the context; `event` goes in at entry.
pub fn load(fields: &Vmcs, state: &L2EnterState, event: Option<&Entry>, vcpu: &mut Vcpu) {
    vcpu.regs = general(state);
    let save = &mut vcpu.vmcb.save;
    save.es = segment::load(fields, segment::ES);
    save.cs = segment::load(fields, segment::CS);
    save.ss = segment::load(fields, segment::SS);
    save.ds = segment::load(fields, segment::DS);
    save.fs = segment::load(fields, segment::FS);
    save.gs = segment::load(fields, segment::GS);
    save.ldtr = segment::load(fields, segment::LDTR);
    save.tr = segment::load(fields, segment::TR);
    save.gdtr.base = fields.get(vmcs::GUEST_GDTR_BASE);
    save.gdtr.limit = fields.get(vmcs::GUEST_GDTR_LIMIT) as u32;
    save.idtr.base = fields.get(vmcs::GUEST_IDTR_BASE);
    save.idtr.limit = fields.get(vmcs::GUEST_IDTR_LIMIT) as u32;
    save.cpl = (segment::rights(fields, segment::SS) >> 5 & 3) as u8;
    save.efer = fields.get(vmcs::GUEST_EFER) | efer::SVME;
    save.cr0 = fields.get(vmcs::GUEST_CR0) | CR0_ET;
    save.cr3 = fields.get(vmcs::GUEST_CR3);
    save.cr4 = fields.get(vmcs::GUEST_CR4) & !VMXE;
    save.dr7 = fields.get(vmcs::GUEST_DR7) | 0x400;
    save.g_pat = fields.get(vmcs::GUEST_PAT);
    save.sysenter_cs = fields.get(vmcs::GUEST_SYSENTER_CS);
    save.sysenter_esp = fields.get(vmcs::GUEST_SYSENTER_ESP);
    save.sysenter_eip = fields.get(vmcs::GUEST_SYSENTER_EIP);
    (save.rip, save.rflags) = (state.rip, state.rflags);
    let blocked = fields.get(vmcs::GUEST_INTERRUPTIBILITY) as u32
        & (interruptibility::STI | interruptibility::MOV_SS);
    vcpu.vmcb.control.interrupt_shadow = u64::from(blocked != 0);
    vcpu.vmcb.control.event_inj = 0;
    if let Some(event) = event {
        let (injection, skip) = event.injection();
        vcpu.vmcb.save.rip = vcpu.vmcb.save.rip.wrapping_add(skip);
        vcpu.vmcb.control.event_inj = injection;
        vcpu.vmcb.control.interrupt_shadow = 0;
    }
}

/// Takes the context's state back. `status` is the guest interrupt status, `ssp` as it came in.
pub fn store(fields: &mut Vmcs, vcpu: &Vcpu, status: u16, ssp: u64) -> L2EnterState {
    let save = &vcpu.vmcb.save;
    for (register, image) in [
        (segment::ES, &save.es),
        (segment::CS, &save.cs),
        (segment::SS, &save.ss),
        (segment::DS, &save.ds),
        (segment::FS, &save.fs),
        (segment::GS, &save.gs),
        (segment::LDTR, &save.ldtr),
        (segment::TR, &save.tr),
    ] {
        segment::store(fields, register, image);
    }
    // QEMU's LTR leaves the type of an available TSS in the register; a processor, a busy one.
    let task = fields.get(vmcs::GUEST_TR_AR) | 2;
    // The privilege level is SS.DPL, even of an unusable SS.
    let rights = fields.get(vmcs::GUEST_SS_AR) & !(3 << 5);
    let features = save.efer & !efer::SVME;
    let long = if features & efer::LMA != 0 {
        u64::from(entry::IA32E)
    } else {
        0
    };
    let controls = fields.get(vmcs::ENTRY_CONTROLS) & !u64::from(entry::IA32E) | long;
    let nmi = fields.get(vmcs::GUEST_INTERRUPTIBILITY) & u64::from(interruptibility::NMI);
    for (encoding, value) in [
        (vmcs::GUEST_TR_AR, task),
        (vmcs::GUEST_SS_AR, rights | u64::from(save.cpl & 3) << 5),
        (vmcs::GUEST_GDTR_BASE, save.gdtr.base),
        (vmcs::GUEST_GDTR_LIMIT, save.gdtr.limit.into()),
        (vmcs::GUEST_IDTR_BASE, save.idtr.base),
        (vmcs::GUEST_IDTR_LIMIT, save.idtr.limit.into()),
        (vmcs::GUEST_EFER, features),
        (vmcs::ENTRY_CONTROLS, controls),
        (vmcs::GUEST_CR0, save.cr0),
        (vmcs::GUEST_CR3, save.cr3),
        (vmcs::GUEST_CR4, save.cr4 | VMXE),
        (vmcs::GUEST_DR7, save.dr7),
        (vmcs::GUEST_PAT, save.g_pat),
        (vmcs::GUEST_SYSENTER_CS, save.sysenter_cs),
        (vmcs::GUEST_SYSENTER_ESP, save.sysenter_esp),
        (vmcs::GUEST_SYSENTER_EIP, save.sysenter_eip),
        (vmcs::GUEST_RSP, vcpu.regs[reg::RSP]),
        (vmcs::GUEST_RIP, save.rip),
        (vmcs::GUEST_RFLAGS, save.rflags),
        (vmcs::GUEST_INTERRUPT_STATUS, status.into()),
        (vmcs::GUEST_INTERRUPTIBILITY, blocking(vcpu) | nmi),
    ] {
        fields.set(encoding, value);
    }
    let mut state = L2EnterState {
        rflags: save.rflags,
        rip: save.rip,
        ssp,
        guest_interrupt_status: status,
        ..L2EnterState::default()
    };
    places(&mut state)
        .into_iter()
        .zip(vcpu.regs)
        .for_each(|(place, value)| *place = value);
    state
}

/// Blocking by STI, or by MOV SS where interrupts are off anyway: SVM does not tell them apart.
fn blocking(vcpu: &Vcpu) -> u64 {
    match (
        vcpu.vmcb.control.interrupt_shadow & 1,
        vcpu.vmcb.save.rflags & RFLAGS_IF,
    ) {
        (0, _) => 0,
        (_, 0) => interruptibility::MOV_SS.into(),
        _ => interruptibility::STI.into(),
    }
}

/// Registers in the order of `reg`.
fn general(state: &L2EnterState) -> [u64; 16] {
    let mut copy = *state;
    places(&mut copy).map(|place| *place)
}

fn places(state: &mut L2EnterState) -> [&mut u64; 16] {
    [
        &mut state.rax,
        &mut state.rcx,
        &mut state.rdx,
        &mut state.rbx,
        &mut state.rsp,
        &mut state.rbp,
        &mut state.rsi,
        &mut state.rdi,
        &mut state.r8,
        &mut state.r9,
        &mut state.r10,
        &mut state.r11,
        &mut state.r12,
        &mut state.r13,
        &mut state.r14,
        &mut state.r15,
    ]
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::svm::bitmaps::Bitmaps;
    use alloc::boxed::Box;
    use tessera_defs::vmx::event;

    fn loaded(event: Option<&Entry>) -> (Vmcs, Vcpu) {
        let mut fields = Vmcs::new(u64::MAX);
        fields.set(vmcs::GUEST_CR4, 0x2060);
        fields.set(vmcs::GUEST_EFER, 0xD01);
        fields.set(vmcs::GUEST_SS_AR, 0xC0F3);
        let state = L2EnterState {
            rax: 1,
            rsp: 5,
            r15: 16,
            rip: 0x1000,
            rflags: 0x202,
            ..L2EnterState::default()
        };
        let mut vcpu = Vcpu::new(Box::leak(Bitmaps::new()), 0);
        load(&fields, &state, event, &mut vcpu);
        (fields, vcpu)
    }

    #[test]
    fn what_goes_in_comes_out() {
        let (mut fields, mut vcpu) = loaded(None);
        assert_eq!((vcpu.vmcb.save.cpl, vcpu.regs[15]), (3, 16));
        assert_eq!(vcpu.vmcb.save.cr4, 0x60);
        vcpu.vmcb.save.cpl = 0;
        vcpu.vmcb.save.tr.attrib = 0x89;
        vcpu.vmcb.control.interrupt_shadow = 1;
        let state = store(&mut fields, &vcpu, 0x5231, 9);
        assert_eq!((state.rax, state.rsp, state.r15), (1, 5, 16));
        assert_eq!((state.rip, state.ssp), (0x1000, 9));
        assert_eq!(state.guest_interrupt_status, 0x5231);
        assert_eq!(fields.get(vmcs::GUEST_CR4), 0x2060);
        assert_eq!(fields.get(vmcs::GUEST_EFER), 0xD01);
        assert_eq!(fields.get(vmcs::GUEST_SS_AR), 0xC093);
        assert_eq!(fields.get(vmcs::GUEST_TR_AR), 0x8B);
        assert_eq!(fields.get(vmcs::GUEST_INTERRUPTIBILITY), 1);
        let long = u64::from(entry::IA32E);
        assert_eq!(fields.get(vmcs::ENTRY_CONTROLS) & long, long);
    }

    #[test]
    fn a_software_event_pushes_the_next_instruction() {
        let event = Entry {
            info: event::VALID | event::SOFTWARE_EXCEPTION | 3,
            error: 0,
            length: 1,
        };
        let (_, vcpu) = loaded(Some(&event));
        assert_eq!(vcpu.vmcb.save.rip, 0x1001);
        assert_eq!(vcpu.vmcb.control.event_inj, 0x8000_0303);
    }
}
