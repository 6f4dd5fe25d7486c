//! The guest kernel. This file is the boot order; everything else is a room behind it.
#![no_std]
#![no_main]

mod acpi_claims;
mod ahead;
mod apic;
mod attestation;
mod boot;
mod clock;
mod console;
mod context;
mod cpu;
mod features;
mod host;
mod interrupts;
mod ioapic;
mod memory;
mod pages;
mod panic;
mod probe;
mod process;
mod processors;
mod spaces;
mod stacks;
mod syscall;
mod timer;
mod traps;
mod windows;

use bootloader_api::BootInfo;
use tessera_handoff::handoff::Handoff;

/// The stub calls this on the kernel's stack, with the kernel's tables, interrupts off.
#[allow(unsafe_code)] // the one symbol that the linker script names
#[unsafe(no_mangle)]
extern "sysv64" fn kernel_entry(info: &'static mut BootInfo, handoff: &'static Handoff) -> ! {
    host::door(handoff);
    traps::install();
    let boot = boot::Boot::check(info, handoff);
    host::install(&boot);
    console::install(&boot);
    console::banner(&boot, clock::install(&boot));
    memory::install(&boot);
    let claims = acpi_claims::read(&boot);
    let io_apic = features::read(&boot);
    attestation::bind(&boot);
    probe::hypercall(&boot);
    ioapic::install(&boot, claims.ioapic, io_apic);
    probe::visibility_round_trip();
    memory::take_paravisor_room(&boot);
    memory::take_rooms(&boot);
    timer::start();
    interrupts::admit();
    probe::halt_until_tick();
    cpu::install();
    processors::start_all(&boot, &claims);
    process::run_first(&boot)
}
