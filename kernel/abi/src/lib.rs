//! The system-call ABI between the kernel and user processes.
//!
//! Instruction: `syscall`. EAX = number; the upper half of RAX is the timeout of calls that may
//! wait (`number::timeout`), zero elsewhere. Arguments RDI, RSI, RDX, R10, R8, R9; result RAX
//! (values below 0 are `Error` numbers); RCX and R11 are clobbered. Calls that take or bring a
//! message change the registers of `message`; all others preserve every other register.
#![no_std]
#![forbid(unsafe_code)]

pub mod error;
pub mod info;
pub mod kind;
pub mod message;
pub mod number;
pub mod rights;
