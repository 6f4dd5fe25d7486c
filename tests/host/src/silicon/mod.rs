//! The processor: isolation as silicon enforces it. Never lies.

pub mod deliver;
pub mod snp;
pub mod tdx;
