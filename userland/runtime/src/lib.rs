//! Safe API over the system calls of `tessera_abi`.
#![no_std]

pub mod call;
pub mod console;
pub mod system;
