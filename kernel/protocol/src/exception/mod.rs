//! Exceptions that mean "ask the host": #VC and #VE, and the exits of a lower context. One
//! `Service` answers them, so that the kernel (host calls) and the paravisor (its own devices,
//! then host calls) share the decoding.

pub mod event;
pub mod serve;
pub mod vc;
pub mod ve;
