//! Safe API over the system calls of `tessera_abi`.
#![no_std]

extern crate alloc;

pub mod call;
pub mod console;
pub mod device;
pub mod executor;
pub mod handle;
mod heap;
pub mod ipc;
pub mod loader;
pub mod panic;
pub mod process;
pub mod service;
pub mod shared;
pub mod state;
pub mod system;
pub mod time;
