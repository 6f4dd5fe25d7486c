//! The one image: assembly, measurement, manifest, inspection.

mod assemble;
pub mod bundle;
mod directives;
mod elf;
mod elf_bytes;
mod igvm_file;
mod inspect;
mod launch_block;
mod launch_text;
mod linux;
pub mod loaders;
mod manifest;
pub mod measure_snp;
pub mod measure_tdx;
mod native;
mod places;
mod policy;
mod read;
mod read_bounds;
mod reset;
mod tables;
pub mod vmsa;

pub use assemble::{HashRange, Image, Inputs, assemble};
pub use inspect::{inspect, measure};
pub use launch_text::{brings, find as launch_block_of};
pub use linux::{Linux, assemble_linux};
pub use manifest::{
    Component, Manifest, PROCESSORS, SCHEMA, ToolchainInfo, digests, hex, snp_digests,
};
pub use policy::Policy;
pub use read::{Action, Page, Parsed, Platform, read, slurp};
