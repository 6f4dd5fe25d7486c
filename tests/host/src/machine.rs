//! The machine below, as plain functions, so that everything above it also runs in tests.

use crate::svm::vcpu::Vcpu;

/// What the vmm needs of the machine.
#[derive(Clone, Copy, Debug)]
pub struct Machine {
    /// VMRUN until the next exit.
    pub enter: fn(&mut Vcpu),
    /// Saves x87 and SSE state of the context that ran last.
    pub save_fpu: fn(&mut Vcpu),
    /// Loads x87 and SSE state of the context that runs next.
    pub load_fpu: fn(&Vcpu),
    /// CPUID (leaf, sub-leaf): EAX, EBX, ECX, EDX.
    pub cpuid: fn(u32, u32) -> [u32; 4],
    /// An exit comes after so many ticks at the latest.
    pub arm: fn(u64),
    /// Time stamp.
    pub clock: fn() -> u64,
    /// A byte of the guest's console.
    pub console: fn(u8),
    /// A byte that was typed there.
    pub typed: fn() -> Option<u8>,
}

/// A machine that does nothing, for tests of what stands above it.
#[cfg(test)]
pub const FAKE: Machine = Machine {
    enter: |_| (),
    save_fpu: |_| (),
    load_fpu: |_| (),
    cpuid: |_, _| [0; 4],
    arm: |_| (),
    clock: || 0,
    console: |_| (),
    typed: || None,
};
