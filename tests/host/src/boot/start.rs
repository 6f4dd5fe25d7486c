//! From the entry to the run loop.
#![allow(unsafe_code)] // Reason: the guest's frames are a fixed range of physical memory.

use super::{fw_cfg, heap, idt, instr, panic, serial, timer};
use crate::{
    machine::Machine,
    memory::frames::{self, Memory},
    svm::enter,
    vmm::{run, scenario::Scenario},
};
use alloc::string::String;

const MACHINE: Machine = Machine {
    enter: enter::enter,
    save_fpu: enter::save_fpu,
    load_fpu: enter::load_fpu,
    cpuid: instr::cpuid,
    arm: timer::arm,
    clock: instr::rdtsc,
    console: serial::console,
    typed: serial::typed,
};

/// Called by the entry on the host's stack.
pub extern "C" fn start() -> ! {
    idt::load();
    timer::start();
    enter::enable();
    match run_scenario() {
        Ok(()) => panic::leave(0),
        Err(error) => panic::fail(&error),
    }
}

fn run_scenario() -> Result<(), String> {
    let scenario = Scenario::parse(&fw_cfg::text("opt/tessera/scenario")?)?;
    let image = fw_cfg::file("opt/tessera/igvm")?.ok_or("no IGVM file was given")?;
    let pool = guest_frames(scenario.memory)?;
    let memory = Memory::new(pool, scenario.memory).with_low(low_frames());
    run::run(scenario, &image, memory, MACHINE, &mut serial::Report)
}

/// The machine's memory below 640 KiB, without page 0: firmware's, which is done.
fn low_frames() -> &'static mut [u8] {
    let (start, pages) = (frames::LOW.start as usize * frames::PAGE, frames::LOW.len());
    // SAFETY: as `guest_frames`; the host's image starts at 1 MiB.
    unsafe { core::slice::from_raw_parts_mut(start as *mut u8, pages * frames::PAGE) }
}

/// A guest with more memory than this need not touch all of it.
const SPARSE: u64 = 1 << 30;

/// The pool of the guest's frames: what `memory` needs above the heap, or, of a large guest, what is there.
fn guest_frames(memory: u64) -> Result<&'static mut [u8], String> {
    let start = heap::END as u64;
    let there = fw_cfg::ram_size()?.min(2 << 30).saturating_sub(start);
    let wanted = frames::pool(memory);
    if there < wanted.min(SPARSE) {
        return Err("the machine has too little memory for this guest".into());
    }
    let len = wanted.min(there & !0xFFF);
    // SAFETY: the range is RAM, identity mapped, above the heap, and handed out once; frames
    // change under the host's feet only while it runs the guest.
    Ok(unsafe { core::slice::from_raw_parts_mut(start as *mut u8, len as usize) })
}
