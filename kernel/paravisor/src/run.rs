//! The loop: run VMPL 2, see why it came back, serve it, run it again.

use crate::context::Paravisor;
use crate::grant::LOWER;
use crate::memory::{virt, vmsa};
use crate::service::{Guest, Lower};
use crate::traps;
use crate::vmsa::{LOWER_FEATURES, LOWER_VMSA};
use tessera_defs::refusal::Refusal;
use tessera_defs::snp::vc::{self, event};
use tessera_defs::x86::vector;
use tessera_hw::instr;
use tessera_protocol::error::{Error, HostFault};
use tessera_protocol::exception::event::NotServed;
use tessera_protocol::exception::{serve, vc as reflect};
use tessera_protocol::ghcb::request;
use tessera_protocol::rmp;

const RFLAGS_IF: u64 = 1 << 9;

/// Registers the lower context and runs it until the guest shuts down.
pub fn forever(paravisor: &mut Paravisor) -> ! {
    let page = rmp::rmpadjust(&mut paravisor.rmp, virt(LOWER_VMSA), false, LOWER, 0, true);
    if page.is_err() {
        crate::door::refuse(Refusal::RmpadjustFailed);
    }
    let ghcb = &mut paravisor.ghcb;
    if request::ap_create(ghcb, 0, LOWER, LOWER_VMSA, LOWER_FEATURES, false).is_err() {
        crate::door::refuse(Refusal::LowerContextRefused);
    }
    loop {
        instr::take_interrupts();
        if traps::ticked() {
            paravisor.tick();
        }
        offer_interrupt(paravisor);
        if request::run_vmpl(&mut paravisor.ghcb, LOWER).is_err() {
            crate::door::refuse(Refusal::LowerContextRefused);
        }
        one_exit(paravisor);
    }
}

/// What VMPL 2 left in its VMSA; a wake-up without an exit leaves INVALID there.
fn one_exit(paravisor: &mut Paravisor) {
    let area = vmsa();
    let code = core::mem::replace(&mut area.guest_exit_code, vc::INVALID);
    if code == vc::INVALID {
        return;
    }
    if area.guest_exit_int_info & event::VALID != 0 {
        area.event_inj = area.guest_exit_int_info;
    }
    let length = area.guest_nrip.wrapping_sub(area.rip);
    let (info1, info2) = (area.guest_exit_info1, area.guest_exit_info2);
    let served = reflect::reflected(code, info1, info2).and_then(|what| {
        let length = u8::try_from(length).ok().filter(|n| (1..=15).contains(n));
        let length = length.ok_or(NotServed::Unknown(code))?;
        let unknown = || Err(NotServed::Unknown(code));
        serve::serve(
            &mut Lower(paravisor),
            what,
            length,
            unknown,
            &mut Guest(area),
        )
    });
    match served {
        Ok(()) => {}
        Err(NotServed::Protocol(Error::Host(HostFault::Inject(vector::GP)))) => inject_gp(),
        Err(NotServed::Protocol(Error::Host(_))) => crate::door::refuse(Refusal::GhcbReplyInvalid),
        Err(_) => crate::door::refuse(Refusal::LowerExitInvalid),
    }
}

/// #GP(0), which every guest knows how to take.
fn inject_gp() {
    let kind = event::TYPE_EXCEPTION << event::TYPE_SHIFT;
    vmsa().event_inj = event::VALID | event::ERROR_VALID | kind | u64::from(vector::GP);
}

/// A pending timer interrupt goes in when the guest could take it on a real processor.
fn offer_interrupt(paravisor: &mut Paravisor) {
    let area = vmsa();
    let takes = area.rflags & RFLAGS_IF != 0 && area.event_inj & event::VALID == 0;
    if let Some(vector) = paravisor.apic.pending.filter(|_| takes) {
        paravisor.apic.pending = None;
        area.event_inj = event::VALID | u64::from(vector);
    }
}
