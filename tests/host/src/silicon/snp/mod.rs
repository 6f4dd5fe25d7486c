//! SEV-SNP: reverse map, page instructions, save areas, launch digest.

pub mod access;
pub mod instructions;
pub mod launch;
pub mod rmp;
pub mod vmsa;
