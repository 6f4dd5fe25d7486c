//! Memory of the guest as the machine sees it: frames, the vmm's map of them, the guest's own
//! address translation, and the instructions that the host must recognise.

pub mod frames;
pub mod insn;
pub mod linear;
pub mod mmio;
pub mod runs;
pub mod walk;
