//! One entry into a context, the same for every technology: timer, interrupts, turns, counts.

use crate::{
    memory::walk::{self, Physical},
    report::End,
    silicon::deliver,
    svm::{
        exit,
        vcpu::{Vcpu, reg},
    },
    vmm::{Vmm, scenario::Inject},
};
use tessera_defs::{
    breach,
    snp::vc::{self, event},
    x86::vector,
};
use tessera_handoff::layout::KERNEL_VIRT;

/// The guest comes back after so many instructions at the latest.
pub const SLICE: u64 = 5_000_000;
/// PAUSE without other prefixes.
const PAUSE_LENGTH: u64 = 2;
/// The same for a lower context while the one below it has an interrupt to get.
const LOWER_SLICE: u64 = 20_000;
/// The same, at random up to twice that, while the vmm waits for a moment of the guest.
const HUNT_SLICE: u64 = 1500;
/// Bytes behind SYSCALL in which a kernel may still be on ring 3's stack pointer.
const SYSCALL_ENTRY: u64 = 32;

/// Enters the context once; the exit stands in its VMCB. `memory` is the context's own view;
/// `interruptible`: the vmm may offer interrupts to this context. Errors: as `run`.
pub fn enter(
    vmm: &mut Vmm,
    vcpu: &mut Vcpu,
    memory: &mut dyn Physical,
    interruptible: bool,
) -> Result<(), End> {
    let offered = if interruptible {
        vmm.pending_interrupt()
    } else {
        None
    };
    // A lower context has interrupts of its own, or none.
    if interruptible {
        vcpu.offer_interrupt(offered);
    }
    let waits = !interruptible && vmm.waits();
    if interruptible && vmm.vp().nmi && vcpu.inject_nmi() {
        vmm.vp().nmi = false;
    }
    let slice = match waits {
        _ if vmm.hunts(vcpu) => HUNT_SLICE + vmm.random() % HUNT_SLICE,
        true => LOWER_SLICE,
        false => SLICE,
    };
    run(vmm, vcpu, memory, slice, !interruptible)?;
    if let Some(vector) = offered.filter(|_| vcpu.interrupt_taken()) {
        vmm.took(vector);
    }
    if vcpu.vmcb.control.exit_code == exit::NPF {
        vcpu.reinject();
    }
    behind_instruction(vcpu, memory);
    Ok(())
}

/// The same for the lowest context of a processor to which the vmm may offer nothing: what is to go
/// in stands in EVENTINJ.
pub fn enter_with_event(
    vmm: &mut Vmm,
    vcpu: &mut Vcpu,
    memory: &mut dyn Physical,
) -> Result<(), End> {
    let slice = match vmm.hunts(vcpu) {
        true => HUNT_SLICE + vmm.random() % HUNT_SLICE,
        false => SLICE,
    };
    run(vmm, vcpu, memory, slice, false)?;
    if vcpu.vmcb.control.exit_code == exit::NPF {
        vcpu.reinject();
    }
    behind_instruction(vcpu, memory);
    Ok(())
}

/// An interrupt by INT n or INT3 that goes in again returns behind its instruction: EVENTINJ
/// pushes RIP as it is (APM vol. 2, 15.20), and RIP still stands at the instruction.
fn behind_instruction(vcpu: &mut Vcpu, memory: &mut dyn Physical) {
    let pending = vcpu.vmcb.control.event_inj;
    let software = pending >> event::TYPE_SHIFT & 7 == event::TYPE_SOFT;
    let again = pending & event::VALID != 0 && software;
    if again && !vcpu.behind {
        let mut opcode = [0];
        walk::read(&vcpu.vmcb.save, memory, vcpu.vmcb.save.rip, &mut opcode);
        let length = match opcode[0] {
            0xCD => 2,
            0xCC | 0xCE => 1,
            _ => 0,
        };
        vcpu.vmcb.save.rip = vcpu.vmcb.save.rip.wrapping_add(length);
    }
    vcpu.behind = again;
}

/// Enters the context once, with what it was offered, for `slice` ticks at most. `lower`: another
/// context serves its exits.
/// Errors: the guest cannot take an event (a triple fault), or its kernel took one badly.
pub fn run(
    vmm: &mut Vmm,
    vcpu: &mut Vcpu,
    memory: &mut dyn Physical,
    slice: u64,
    lower: bool,
) -> Result<(), End> {
    vcpu.take_at_once();
    by_hand(vcpu, memory).map_err(|_| shutdown(vmm))?;
    vcpu.vmcb.control.tsc_offset = vmm.skew;
    let now = vmm.now();
    let deadline = vmm
        .vp()
        .deadline()
        .map_or(slice, |at| at.saturating_sub(now));
    let left = vmm.turn_left().unwrap_or(slice);
    vcpu.watch_pause(vmm.others_ready());
    (vmm.machine.arm)(deadline.min(slice).min(left).max(1000));
    let before = (vmm.machine.clock)();
    (vmm.machine.enter)(vcpu);
    let done = (vmm.machine.clock)().wrapping_sub(before);
    vmm.stats.instructions += done;
    vmm.vp().instructions += done;
    vcpu.name_interrupted();
    host_exit(vmm, vcpu);
    let control = &mut vcpu.vmcb.control;
    control.event_inj = 0;
    vmm.last_exit = (
        control.exit_code,
        [control.exit_info_1, control.exit_info_2],
    );
    vmm.ran(vcpu, lower);
    vmm.stats.exit(vcpu.vmcb.control.exit_code);
    vmm.rip = vcpu.vmcb.save.rip;
    // A rule of our own kernel: only where the host injects does it tell anything.
    match vmm.scenario.inject.is_some() && user_stack(vcpu) {
        true => Err(End::Breach(&breach::USER_STACK_IN_KERNEL)),
        false => Ok(()),
    }
}

/// Exits that no technology sees: they are the host's own, and look like its timer's.
fn host_exit(vmm: &mut Vmm, vcpu: &mut Vcpu) {
    match vcpu.vmcb.control.exit_code {
        exit::PAUSE => {
            vmm.pause();
            vcpu.skip(PAUSE_LENGTH);
        }
        // It is executed at the next entry, and the next NMI waits for the one after that.
        exit::IRET => vcpu.end_nmi(),
        _ => return,
    }
    vcpu.vmcb.control.exit_code = exit::INTR;
}

/// Delivers the event that is to go in, where QEMU's EVENTINJ would do it wrongly. An interrupt
/// that meets memory that the context may not use now is the processor's to try: its nested fault
/// says where.
fn by_hand(vcpu: &mut Vcpu, memory: &mut dyn Physical) -> Result<(), deliver::Undeliverable> {
    let pending = vcpu.vmcb.control.event_inj;
    let software = pending >> event::TYPE_SHIFT & 7 == event::TYPE_SOFT;
    if pending & event::VALID == 0 || software || !deliver::by_hand(pending as u8) {
        return Ok(());
    }
    vcpu.vmcb.control.event_inj = 0;
    let done = deliver::deliver(vcpu, memory, pending as u8, pending >> 32);
    if done.is_err() && pending as u8 >= 32 {
        vcpu.vmcb.control.event_inj = pending;
        return Ok(());
    }
    done
}

/// Notes what the scenario injects at the next entry, where nothing else is to be injected.
pub fn inject(vmm: &mut Vmm, vcpu: &mut Vcpu) {
    if note(vmm, vcpu) {
        vmm.tell();
    }
}

/// The same, before silicon looked at it; whether there is something.
pub fn note(vmm: &mut Vmm, vcpu: &mut Vcpu) -> bool {
    if vcpu.vmcb.control.event_inj & event::VALID != 0 {
        return false;
    }
    let Some(inject) = vmm.injection(vcpu) else {
        return false;
    };
    match inject {
        Inject::Nmi | Inject::Any | Inject::Vector(vector::NMI) => {
            let nmi = event::TYPE_NMI << event::TYPE_SHIFT | u64::from(vector::NMI);
            vcpu.vmcb.control.event_inj = event::VALID | nmi;
        }
        Inject::Vector(vector @ 32..) => {
            vcpu.vmcb.control.event_inj = event::VALID | u64::from(vector);
        }
        Inject::Vector(vector) => {
            // A #VC that looks like one of CPUID.
            let code = if vector == vector::VC { vc::CPUID } else { 0 };
            let pushes = matches!(vector, 8 | 10..=14 | 17 | 21 | vector::VC | 30);
            vcpu.inject_exception(vector, pushes.then_some(code as u32));
        }
    }
    true
}

/// What a triple fault comes to.
pub fn shutdown(vmm: &Vmm) -> End {
    End::Breach(vmm.offence.unwrap_or(&breach::UNHANDLED_EXCEPTION))
}

/// Ring 0 of a kernel that has system calls, on a stack of ring 3's choice: whoever traps there
/// lets ring 3 say where the kernel writes. The first instructions behind SYSCALL are left out.
fn user_stack(vcpu: &Vcpu) -> bool {
    let save = &vcpu.vmcb.save;
    let entry = save.rip.wrapping_sub(save.lstar) < SYSCALL_ENTRY;
    let kernel = save.lstar != 0 && save.cpl == 0 && save.rip >= KERNEL_VIRT;
    kernel && !entry && vcpu.regs[reg::RSP] >> 63 == 0
}
