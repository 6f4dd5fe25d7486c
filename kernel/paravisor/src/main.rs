//! The paravisor: VMPL 0 of an SNP guest, or the L1 of a partitioned TD. This file is its boot
//! order.
#![no_std]
#![no_main]

mod accept;
mod apic;
mod bind;
mod context;
mod cpuid;
mod devices;
mod door;
mod evidence;
mod first_state;
mod grant;
mod hypercall;
mod instruction;
mod kept;
mod lower;
mod memory;
mod msr;
mod panic;
mod partition;
mod pfe;
mod processors;
mod run;
mod secondary;
mod service;
mod snp;
mod stacks;
mod synic;
mod synthetic;
mod tdx;
mod traps;

use bootloader_api::BootInfo;
use context::Paravisor;
use lower::LowerGuest;
use memory::Memory;
use partition::Partition;
use tessera_defs::mode::Mode;
use tessera_defs::refusal::Refusal;
use tessera_handoff::handoff::Handoff;
use tessera_hw::compose::Strategies;

/// The stub calls this on the paravisor's stack, with its tables, interrupts off.
#[allow(unsafe_code)] // the one symbol that the linker script names
#[unsafe(no_mangle)]
extern "sysv64" fn paravisor_entry(info: &'static mut BootInfo, block: &'static Handoff) -> ! {
    let mode = context::mode(block);
    traps::install(0);
    let memory = Memory::new(block);
    match mode {
        Mode::SnpParavisor => {
            let lower = &mut snp::vmpl2::Vmpl2::first(&memory);
            start(mode, info, block, memory, lower)
        }
        Mode::TdxParavisor => {
            let lower = &mut tdx::l2::L2Vm::new(0);
            start(mode, info, block, memory, lower)
        }
        _ => door::refuse(Refusal::HandoffInvalid),
    }
}

fn start(
    mode: Mode,
    info: &'static mut BootInfo,
    block: &'static Handoff,
    memory: Memory,
    lower: &mut dyn LowerGuest,
) -> ! {
    let Strategies {
        host,
        visibility,
        attestation,
        ..
    } = context::strategies(mode, block);
    Partition::install(info, block, memory, attestation);
    secondary::prepare(mode, block.profile, block.comes_private != 0);
    let mut paravisor = Paravisor::new(mode, 0, host, visibility, lower);
    synthetic::ask(&mut paravisor);
    processors::boot(block.lower_entry);
    boot(&mut paravisor);
    run::forever(&mut paravisor)
}

fn boot(paravisor: &mut Paravisor<'_>) {
    if let Err(refusal) = synic::open(paravisor) {
        door::refuse(refusal);
    }
    let partition = &mut *paravisor.partition.lock();
    accept::prepare(paravisor, partition);
    pfe::publish(paravisor.mode, &partition.memory);
    grant::give_to_guest(paravisor, partition);
    grant::give_loaded(paravisor, partition);
    bind::mode(paravisor.mode, partition);
    if partition.processors > 1 || paravisor.messages.is_some() {
        secondary::listen(paravisor);
    }
}
