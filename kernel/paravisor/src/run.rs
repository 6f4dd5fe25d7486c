//! The loop: run the lower guest, see why it came back, serve it, run it again.

use crate::accept;
use crate::context::Paravisor;
use crate::lower::{Exit, Injection};
use crate::partition;
use crate::processors;
use crate::service::Services;
use crate::traps;
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
        if traps::strayed(paravisor.index) {
            paravisor.end_of_interrupt();
        }
        if traps::ticked(paravisor.index) {
            paravisor.tick();
        }
        if !processors::attend(paravisor) || idles(paravisor) {
            // Interrupts are off since what was sent was taken: a kick since then ends the wait.
            if paravisor.host.halt().is_err() {
                crate::door::refuse(paravisor.host_fault());
            }
            continue;
        }
        offer_interrupt(paravisor);
        paravisor.seen = partition::changes();
        let served = match paravisor.lower.enter() {
            Ok(Some(exit)) => serve_exit(paravisor, exit),
            Ok(None) => Ok(()),
            Err(why) => Err(why),
        };
        judge(paravisor, served);
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
    // No device of this paravisor stands in memory.
    let mmio = || Err(NotServed::Mismatch(exit.event));
    let service = &mut Services(paravisor);
    serve::serve(service, exit.event, exit.length, mmio, &mut registers)?;
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
        Err(_) => crate::door::refuse(Refusal::LowerExitInvalid),
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
        return paravisor.lower.inject(Injection::Nmi);
    }
    if let Some(vector) = paravisor.apic.pending()
        && paravisor.lower.takes_interrupts()
    {
        paravisor.apic.accept(vector);
        paravisor.lower.inject(Injection::Interrupt(vector));
    }
}
