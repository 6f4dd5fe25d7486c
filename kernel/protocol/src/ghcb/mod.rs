//! The GHCB page protocol. Source: 56421 rev. 2.04, sections 4 and 5.

pub mod frame;
pub mod hypercall;
pub mod psc;
pub mod request;
