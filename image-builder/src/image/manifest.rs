//! What an image is made of and what hardware will say of it, as JSON.

use super::assemble::Loaded;
use super::measure_snp::{self, Zeros};
use super::read::{Parsed, read};
use super::{Policy, measure_tdx, vmsa::MILAN};
use crate::{Failure, Result};
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};
use std::{collections::BTreeMap, fmt::Write};

/// Version of this schema.
pub const SCHEMA: u32 = 1;
/// Processor counts whose SNP digests are listed.
pub const PROCESSORS: [u32; 4] = [1, 2, 4, 8];

/// What built the programs.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ToolchainInfo {
    /// Output of `rustc -vV`.
    pub rustc: String,
    /// Version of the linker.
    pub linker: String,
    /// SHA-256 of Cargo.lock, hex.
    pub cargo_lock_sha256: String,
}

/// One component.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Component {
    /// `stub`, `kernel`, `paravisor` or `bundle`.
    pub name: String,
    /// SHA-256 of the ELF file, hex.
    pub file_sha256: String,
    /// SHA-256 of `gpa..gpa + len` in guest memory before the first instruction, hex.
    pub loaded_sha256: String,
    /// First byte, guest physical.
    pub gpa: u64,
    /// Bytes.
    pub len: u64,
}

/// The manifest.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Manifest {
    /// `SCHEMA`.
    pub schema: u32,
    /// The measured policy.
    pub policy: Policy,
    /// Commit of the sources.
    pub commit: String,
    /// What built the programs.
    pub toolchain: ToolchainInfo,
    /// SHA-256 of Cargo.lock, hex.
    pub cargo_lock_sha256: String,
    /// The components, in address order of their loading.
    pub components: Vec<Component>,
    /// SHA-256 of the IGVM file, hex.
    pub igvm_sha256: String,
    /// SNP launch digests by processor count, hex; loaders that give zero pages as normal ones.
    pub snp_launch_digests: BTreeMap<String, String>,
    /// The same for loaders that use the ZERO page type (QEMU).
    pub snp_launch_digests_zero_pages: BTreeMap<String, String>,
    /// CPUID leaf 1 EAX that digests for more than one processor hold for.
    pub snp_ap_signature: u32,
    /// MRTD, hex.
    pub tdx_mrtd: String,
}

impl Manifest {
    /// Pretty JSON with a final line break; the same manifest gives the same bytes.
    pub fn to_json(&self) -> Result<String> {
        let text = serde_json::to_string_pretty(self).map_err(|error| {
            Failure::machine(
                format!("the manifest cannot be written: {error}"),
                "report this",
            )
        })?;
        Ok(text + "\n")
    }
}

/// What a manifest says beside what stands in the file.
#[derive(Debug, Clone, Copy)]
pub(super) struct About<'a> {
    pub policy: &'a Policy,
    pub commit: &'a str,
    pub toolchain: &'a ToolchainInfo,
}

/// The manifest of a finished file.
pub(super) fn manifest(
    about: About<'_>,
    loaded: &[Loaded<'_>],
    igvm: &[u8],
    file: &Parsed<'_>,
) -> Result<Manifest> {
    Ok(Manifest {
        schema: SCHEMA,
        policy: about.policy.clone(),
        commit: about.commit.into(),
        toolchain: about.toolchain.clone(),
        cargo_lock_sha256: about.toolchain.cargo_lock_sha256.clone(),
        components: loaded.iter().map(component).collect(),
        igvm_sha256: sha256(igvm),
        snp_launch_digests: digests(file, Zeros::Normal)?,
        snp_launch_digests_zero_pages: digests(file, Zeros::Native)?,
        snp_ap_signature: MILAN,
        tdx_mrtd: hex(&measure_tdx::measure(file)?),
    })
}

/// SNP digests for every count of `PROCESSORS`.
pub fn digests(file: &Parsed<'_>, zeros: Zeros) -> Result<BTreeMap<String, String>> {
    let all = by_count(file, zeros, PROCESSORS)?.into_iter();
    Ok(all
        .map(|(count, digest)| (count.to_string(), digest))
        .collect())
}

/// The SNP digests of an IGVM file for these numbers of processors, hex; zero pages as normal
/// ones. Errors: what is wrong with the file.
pub fn snp_digests(
    igvm: &[u8],
    counts: impl IntoIterator<Item = u32>,
) -> Result<BTreeMap<u32, String>> {
    by_count(&read(igvm)?, Zeros::Normal, counts)
}

fn by_count(
    file: &Parsed<'_>,
    zeros: Zeros,
    counts: impl IntoIterator<Item = u32>,
) -> Result<BTreeMap<u32, String>> {
    let first = measure_snp::measure(file, zeros)?;
    let one = |count: u32| {
        let mut chain = first.clone();
        chain.add_aps(count - 1, MILAN);
        (count, hex(&chain.digest()))
    };
    Ok(counts.into_iter().map(one).collect())
}

fn component(part: &Loaded<'_>) -> Component {
    Component {
        name: part.name.into(),
        file_sha256: sha256(part.file),
        loaded_sha256: sha256(part.bytes),
        gpa: part.gpa,
        len: part.bytes.len() as u64,
    }
}

fn sha256(bytes: &[u8]) -> String {
    hex(&Sha256::digest(bytes))
}

/// Lower-case hex.
pub fn hex(bytes: &[u8]) -> String {
    bytes.iter().fold(String::new(), |mut text, byte| {
        write!(text, "{byte:02x}").expect("writing to a string cannot fail");
        text
    })
}
