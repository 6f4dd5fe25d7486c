//! SEV-SNP: the lower guest is VMPL 2 with vTOM and ReflectVC.

mod ghcb;
pub mod vmpl2;
pub mod vmsa;
