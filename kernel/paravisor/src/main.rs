//! The paravisor: VMPL 0 of an SNP guest. This file is its boot order.
#![no_std]
#![no_main]

mod apic;
mod context;
mod cpuid;
mod door;
mod grant;
mod hypercall;
mod memory;
mod msr;
mod panic;
mod pfe;
mod run;
mod service;
mod traps;
mod vmsa;

use bootloader_api::BootInfo;
use tessera_handoff::handoff::Handoff;

/// The stub calls this on the paravisor's stack, with its tables, interrupts off.
#[allow(unsafe_code)] // the one symbol that the linker script names
#[unsafe(no_mangle)]
extern "sysv64" fn paravisor_entry(info: &'static mut BootInfo, block: &'static Handoff) -> ! {
    traps::install();
    let mut paravisor = context::Paravisor::new(info, block);
    grant::accept_memory(&mut paravisor);
    pfe::publish(&paravisor);
    grant::give_to_guest(&mut paravisor);
    vmsa::build(&paravisor);
    run::forever(&mut paravisor)
}
