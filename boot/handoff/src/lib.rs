//! What the image builder, the boot stub, the kernel and the paravisor agree on: where things
//! stand in guest memory, the measured launch block, the hand-over, and the IGVM walker.
#![no_std]
#![forbid(unsafe_code)]

pub mod bundle;
pub mod command_line;
pub mod handoff;
pub mod igvm;
pub mod launch;
pub mod layout;
pub mod linux;
pub mod memory_map;
