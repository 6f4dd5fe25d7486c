//! What QEMU's IGVM loader demands of a file beyond the format.
//!
//! Source: QEMU, `backends/igvm.c`, table `handlers`, at commits 593fe98d7455 (the table of 10.1)
//! and 03025db6a0ad (the same with the MADT). A directive or initialization that is not in the
//! table ends the load, whatever its compatibility mask. The format's optional bit is no way
//! out: the `igvm` crate, which that loader reads files with, does not know it either.

use super::igvm_file;
use super::read::{Action, Parsed};
use igvm_defs::IgvmVariableHeaderType as Kind;
use tessera_defs::snp::vmsa::BSP_VMSA_GPA;

/// A loader.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Loader {
    /// Name for people.
    pub name: &'static str,
    /// Header types that it knows beside those of 10.1.
    since: &'static [Kind],
}

/// Header types of the first release that has the loader.
const FIRST: [Kind; 11] = [
    Kind::IGVM_VHT_SUPPORTED_PLATFORM,
    Kind::IGVM_VHT_GUEST_POLICY,
    Kind::IGVM_VHT_PAGE_DATA,
    Kind::IGVM_VHT_VP_CONTEXT,
    Kind::IGVM_VHT_PARAMETER_AREA,
    Kind::IGVM_VHT_PARAMETER_INSERT,
    Kind::IGVM_VHT_REQUIRED_MEMORY,
    Kind::IGVM_VHT_MEMORY_MAP,
    Kind::IGVM_VHT_VP_COUNT_PARAMETER,
    Kind::IGVM_VHT_ENVIRONMENT_INFO_PARAMETER,
    Kind::IGVM_VHT_SNP_ID_BLOCK,
];

/// The first release that has the loader.
pub const QEMU_10_1: Loader = Loader {
    name: "QEMU 10.1",
    since: &[],
};

/// Since the loader gives the MADT.
pub const QEMU_MADT: Loader = Loader {
    name: "QEMU with the MADT parameter",
    since: &[Kind::IGVM_VHT_MADT],
};

impl Loader {
    /// Whether it takes a header of type `kind`.
    pub fn knows(&self, kind: u32) -> bool {
        FIRST.iter().chain(self.since).any(|known| known.0 == kind)
    }
}

/// Why `loader` would not take a file; empty if it takes it.
pub fn refusals(file: &Parsed<'_>, loader: Loader) -> Vec<String> {
    let unknown = file.kinds.iter().filter(|kind| !loader.knows(**kind));
    let mut refusals: Vec<_> = unknown
        .map(|kind| format!("header type {kind:#x}"))
        .collect();
    refusals.dedup();
    let last = file.pages.last().filter(|page| page.mask == igvm_file::SNP);
    match last.map(|page| (page.gpa, page.action)) {
        Some((BSP_VMSA_GPA, Action::Context(vmsa))) if vmsa[0x3B0..0x3B8] == 1u64.to_le_bytes() => {
        }
        Some((BSP_VMSA_GPA, Action::Context(_))) => refusals.push("SEV_FEATURES is not 1".into()),
        _ => refusals.push("the last directive is no VMSA at 0xfffffffff000".into()),
    }
    refusals
}
