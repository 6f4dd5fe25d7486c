//! The host's software: loader, devices, Hyper-V or KVM interfaces, and what it lies about.

pub mod apic;
pub mod core;
pub mod cpuid;
pub mod hypercall;
pub mod image;
pub mod inject;
pub mod lies;
pub mod mmio;
pub mod msr;
pub mod parameters;
pub mod port;
pub mod run;
pub mod scenario;
pub mod stats;
pub mod tdvmcall;

pub use self::core::Vmm;
