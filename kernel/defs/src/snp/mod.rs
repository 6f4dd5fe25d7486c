//! AMD SEV-SNP. Sources: APM vol. 2 (24593), GHCB specification (56421 rev. 2.04),
//! SNP firmware ABI (56860 rev. 1.58).

pub mod certificates;
pub mod cpuid_page;
pub mod doorbell;
pub mod ghcb;
pub mod ghcb_msr;
pub mod launch;
pub mod message;
pub mod report;
pub mod rmp;
pub mod secrets;
pub mod status;
pub mod vc;
pub mod vmsa;
