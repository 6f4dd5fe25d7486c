//! Protocols with the host, the TDX module and the RMP: pure logic over one-method traits.
#![no_std]
#![forbid(unsafe_code)]
