//! The test host: a hypervisor on AMD SVM that models SNP, TDX and plain hosts inside QEMU.
//!
//! `silicon` is the processor and never lies; `vmm` is the host's software and lies when a
//! scenario says so; `platform` joins the two, one run loop per technology. Everything but
//! `boot` and the entry into the guest compiles and is tested on the developer's machine.
#![no_std]

extern crate alloc;
#[cfg(test)]
extern crate std;

#[cfg(target_os = "none")]
pub mod boot;
pub mod machine;
pub mod memory;
pub mod platform;
pub mod report;
pub mod silicon;
pub mod svm;
pub mod vmm;
