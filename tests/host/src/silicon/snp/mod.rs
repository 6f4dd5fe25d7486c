//! SEV-SNP: reverse map, page instructions, save areas, launch digest, security processor.

pub mod access;
pub mod injection;
pub mod instructions;
pub mod io;
pub mod launch;
pub mod messages;
pub mod report;
pub mod rmp;
pub mod vmsa;
