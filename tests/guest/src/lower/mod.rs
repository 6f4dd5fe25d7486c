//! The guest below a paravisor: in its table of services it finds what to use.

pub mod absent;
pub mod acts;
mod host;
pub mod machine;
pub mod probes;
pub mod processors;
pub mod services;
pub mod vmpl2;
