//! Protocols with the host, the TDX module and the RMP: pure logic over one-method traits.
//!
//! Every value that comes back is checked before it is used; errors name the guilty party.
#![no_std]
#![forbid(unsafe_code)]

pub mod binding;
pub mod error;
pub mod exception;
pub mod ghcb;
pub mod ghcb_msr;
pub mod hyperv;
pub mod insn;
pub mod message;
pub mod proxy;
pub mod registers;
pub mod rmp;
pub mod start_vp;
pub mod tdx;
pub mod traits;
