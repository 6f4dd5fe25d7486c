//! The loop: run the lower guest, see why it came back, serve it, run it again.

use crate::accept;
use crate::context::Paravisor;
use crate::lower::{Exit, Injection};
use crate::partition;
use crate::processors;
use crate::service::Services;
use crate::traps::{self, kind};
use crate::{devices, door, instruction, synic};
use core::hint::spin_loop;
use tessera_defs::refusal::Refusal;
use tessera_defs::x86::vector;
use tessera_hw::instr;
use tessera_protocol::error::{Error, HostFault};
use tessera_protocol::exception::event::{Event, NotServed};
use tessera_protocol::exception::serve;

/// Runs the lower context of this processor, whenever it is started, until the guest shuts down.
pub fn forever(paravisor: &mut Paravisor<'_>) -> ! {
    loop {
        instr::take_interrupts();
        let taken = match traps::came(paravisor.index) {
            0 => Ok(()),
            kinds => take(paravisor, kinds),
        };
        let served = taken.and_then(|()| turn(paravisor));
        judge(paravisor, served);
    }
}

/// What the host's interrupts were for.
fn take(paravisor: &mut Paravisor<'_>, kinds: u32) -> Result<(), NotServed> {
    if kinds & kind::TICK != 0 {
        paravisor.tick();
    }
    if kinds & kind::MESSAGE != 0 {
        synic::take(paravisor);
    }
    if kinds & kind::STRAY != 0 {
        for _ in 0..traps::strays(paravisor.index) {
            paravisor.end_of_interrupt();
        }
    }
    if kinds & kind::LINE != 0 {
        devices::take_lines(paravisor)?;
    }
    Ok(())
}

/// One entry, or one wait, and what came of it.
fn turn(paravisor: &mut Paravisor<'_>) -> Result<(), NotServed> {
    if !processors::attend(paravisor) || idles(paravisor) {
        // Interrupts are off since what was sent was taken: a kick since then ends the wait.
        paravisor.host.halt()?;
        return Ok(());
    }
    if !processors::may_go_in(paravisor) {
        spin_loop();
        return Ok(());
    }
    offer_interrupt(paravisor);
    took_interrupt(paravisor);
    paravisor.seen = partition::changes();
    let exit = paravisor.lower.enter();
    processors::came_out(paravisor);
    took_interrupt(paravisor);
    match exit? {
        Some(exit) => serve_exit(paravisor, exit),
        None => Ok(()),
    }
}

/// Whether the guest waits in HLT, and nothing came that ends it.
fn idles(paravisor: &mut Paravisor<'_>) -> bool {
    let came = paravisor.nmi || paravisor.apic.pending().is_some();
    paravisor.halted &= !came;
    paravisor.halted
}

/// What came goes in when the guest could take it on a real processor.
fn offer_interrupt(paravisor: &mut Paravisor<'_>) {
    if paravisor.nmi && paravisor.lower.takes_nmi() {
        paravisor.nmi = false;
        paravisor.lower.inject(Injection::Nmi);
    }
    paravisor.lower.offer(paravisor.apic.pending());
}

/// An interrupt is in service from the moment when the guest got it.
fn took_interrupt(paravisor: &mut Paravisor<'_>) {
    if let Some(vector) = paravisor.lower.taken() {
        paravisor.apic.accept(vector);
    }
}

fn serve_exit(paravisor: &mut Paravisor<'_>, exit: Exit) -> Result<(), NotServed> {
    // TLFS 3.5: a hypercall is ring 0's; elsewhere the instruction does not exist. Were it served,
    // any process of the guest could share its kernel's memory.
    if exit.event == Event::Hypercall && exit.ring != 0 {
        paravisor.lower.inject(Injection::InvalidOpcode);
        return Ok(());
    }
    let mut registers = paravisor.lower.registers();
    let (mut event, mut decoded) = (exit.event, Err(NotServed::Mismatch(exit.event)));
    if let Event::Mmio { gpa } = event {
        if exit.hint && !devices::stands_at(paravisor, gpa) {
            return Ok(());
        }
        let (instruction, gpa) = instruction::decode(paravisor, &registers)?;
        if exit.hint && !devices::stands_at(paravisor, gpa) {
            return Ok(());
        }
        (event, decoded) = (Event::Mmio { gpa }, Ok(instruction));
    }
    let service = &mut Services(paravisor);
    serve::serve(service, event, exit.length, || decoded, &mut registers)?;
    paravisor.lower.set_registers(&registers);
    Ok(())
}

/// What is not served: memory to accept, #GP, or the end.
fn judge(paravisor: &mut Paravisor<'_>, served: Result<(), NotServed>) {
    match served {
        Ok(()) => {}
        Err(NotServed::Protocol(Error::Host(HostFault::Inject(vector::GP)))) => {
            paravisor.lower.inject(Injection::GeneralProtection);
        }
        Err(NotServed::PageNotValidated(gpa)) => accept::on_demand(paravisor, gpa),
        Err(NotServed::Protocol(Error::Platform { .. })) => {
            crate::door::refuse(Refusal::LowerContextRefused)
        }
        Err(NotServed::Protocol(Error::Host(_))) => crate::door::refuse(paravisor.host_fault()),
        Err(why) => door::not_served(paravisor, why),
    }
}
