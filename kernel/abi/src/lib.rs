//! The system-call ABI between the kernel and user processes.
//!
//! Instruction: `syscall`. RAX = number; arguments RDI, RSI, RDX; result RAX (values below 0
//! are `Error` numbers); RCX and R11 are clobbered, all other registers preserved.
#![no_std]
#![forbid(unsafe_code)]

pub mod error;
pub mod info;
pub mod number;
