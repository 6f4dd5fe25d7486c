//! Bare metal: entry, paging, devices of QEMU, heap, interrupts of the host itself.

mod entry;
pub mod fw_cfg;
mod heap;
mod idt;
pub mod instr;
mod panic;
pub mod serial;
mod start;
pub mod timer;
