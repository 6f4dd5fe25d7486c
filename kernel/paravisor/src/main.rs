//! The paravisor: VMPL 0 of an SNP guest, or the L1 of a partitioned TD. This file is its boot
//! order.
#![no_std]
#![no_main]

mod accept;
mod apic;
mod bind;
mod context;
mod cpuid;
mod door;
mod evidence;
mod grant;
mod hypercall;
mod lower;
mod memory;
mod msr;
mod panic;
mod pfe;
mod run;
mod service;
mod snp;
mod tdx;
mod traps;

use bootloader_api::BootInfo;
use context::Paravisor;
use memory::Memory;
use tessera_defs::mode::Mode;
use tessera_defs::refusal::Refusal;
use tessera_handoff::handoff::Handoff;

/// The stub calls this on the paravisor's stack, with its tables, interrupts off.
#[allow(unsafe_code)] // the one symbol that the linker script names
#[unsafe(no_mangle)]
extern "sysv64" fn paravisor_entry(info: &'static mut BootInfo, block: &'static Handoff) -> ! {
    let mode = context::mode(block);
    traps::install();
    let memory = Memory::new(block);
    match mode {
        Mode::SnpParavisor => {
            let lower = &mut snp::vmpl2::Vmpl2::new(&memory);
            let paravisor = Paravisor::new(mode, info, block, memory, lower);
            start(paravisor)
        }
        Mode::TdxParavisor => {
            let lower = &mut tdx::l2::L2Vm::new();
            let paravisor = Paravisor::new(mode, info, block, memory, lower);
            start(paravisor)
        }
        _ => door::refuse(Refusal::HandoffInvalid),
    }
}

fn start(mut paravisor: Paravisor<'_>) -> ! {
    accept::prepare(&mut paravisor);
    pfe::publish(&paravisor);
    grant::give_to_guest(&mut paravisor);
    bind::mode(&mut paravisor);
    run::forever(&mut paravisor)
}
