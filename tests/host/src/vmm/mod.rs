//! The host's software: loader, devices, Hyper-V or KVM interfaces, and what it lies about.

pub mod apic;
pub mod certificates;
pub mod clocks;
pub mod cmos;
pub mod core;
pub mod cpuid;
pub mod devices;
pub mod doorbell;
pub mod hypercall;
pub mod image;
pub mod inject;
pub mod ioapic;
pub mod ipi;
pub mod kept;
pub mod lies;
pub mod missing;
pub mod mmio;
pub mod msr;
pub mod parameters;
pub mod pic;
pub mod pm;
pub mod port;
pub mod quoting;
pub mod registers;
pub mod run;
pub mod scenario;
pub mod schedule;
pub mod spent;
pub mod start;
pub mod stats;
pub mod synic;
pub mod tdvmcall;
pub mod uart;
pub mod vp;

pub use self::core::Vmm;
