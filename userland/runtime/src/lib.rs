//! Safe API over the system calls of `tessera_abi`.
#![no_std]

pub mod call;
pub mod console;
pub mod device;
pub mod handle;
pub mod ipc;
pub mod loader;
pub mod process;
pub mod service;
pub mod state;
pub mod system;
pub mod time;
