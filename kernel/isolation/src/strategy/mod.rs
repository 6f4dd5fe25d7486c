//! The strategies: what differs between the modes, as objects. `tessera-hw` composes them.

pub mod attestation;
pub mod clock;
pub mod ghcb;
pub mod hypercall;
pub mod native;
pub mod processors;
pub mod start_call;
pub mod tdvmcall;
pub mod traits;
