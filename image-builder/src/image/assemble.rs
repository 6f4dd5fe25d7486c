//! From the four programs to the image.

use super::elf::{self, Program};
use super::igvm_file::{self, Entries, Pages};
use super::manifest::{About, Manifest, ToolchainInfo};
use super::{Policy, launch_block, manifest, places, read};
use crate::{Failure, Result, build::Placement};
use tessera_handoff::bundle::Bundle;
use tessera_handoff::layout;
use zerocopy::IntoBytes;

/// What an image is made of.
#[derive(Debug, Clone)]
pub struct Inputs {
    /// tessera-stub.
    pub stub_elf: Vec<u8>,
    /// tessera-kernel.
    pub kernel_elf: Vec<u8>,
    /// tessera-paravisor; without it the image has no paravisor and its room is zero pages.
    pub paravisor_elf: Option<Vec<u8>>,
    /// The bundle, by `bundle::archive`.
    pub bundle: Vec<u8>,
    /// The owner's policy.
    pub policy: Policy,
    /// Commit of the sources, at most 40 ASCII characters.
    pub commit: String,
    /// What built the programs.
    pub toolchain: ToolchainInfo,
}

/// A range of guest memory whose content is known before the first instruction.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct HashRange {
    /// `stub`, `kernel`, `paravisor` or `bundle`.
    pub name: String,
    /// First byte.
    pub gpa: u64,
    /// Bytes.
    pub len: u64,
}

/// The image and what is known of it.
#[derive(Debug, Clone)]
pub struct Image {
    /// The IGVM file.
    pub igvm: Vec<u8>,
    /// What it is made of, and its measurements.
    pub manifest: Manifest,
    /// Where its components stand.
    pub ranges: Vec<HashRange>,
}

/// Bytes of a component as loaded, beside the file that they come from.
pub(super) struct Loaded<'a> {
    pub name: &'static str,
    pub file: &'a [u8],
    pub gpa: u64,
    pub bytes: &'a [u8],
}

/// Assembles the image. The same inputs give the same bytes. Errors blame the image's sources:
/// a program that does not fit, breaks W^X, or lacks an entry; a policy that demands a paravisor
/// where there is none.
pub fn assemble(inputs: &Inputs) -> Result<Image> {
    let stub = elf::load(&inputs.stub_elf, &places::stub())?;
    let kernel = elf::load(&inputs.kernel_elf, &places::kernel())?;
    let paravisor = paravisor(inputs)?;
    check_bundle(&inputs.bundle)?;
    let block = launch_block::launch_block(inputs, &kernel, paravisor.as_ref())?;
    let entries = entries(&stub)?;
    let mut loaded = vec![
        component("stub", &inputs.stub_elf, &stub),
        component("kernel", &inputs.kernel_elf, &kernel),
        bundle(&inputs.bundle),
    ];
    if let (Some(file), Some(program)) = (&inputs.paravisor_elf, &paravisor) {
        loaded.push(component("paravisor", file, program));
    }
    let mut pages = Pages::new();
    for part in &loaded {
        igvm_file::spread(&mut pages, part.gpa, part.bytes);
    }
    igvm_file::spread(&mut pages, layout::LAUNCH_BLOCK, block.as_bytes());
    let igvm = igvm_file::igvm_file(&pages, &[], &entries, inputs.policy.snp())?;
    let about = About {
        policy: &inputs.policy,
        commit: &inputs.commit,
        toolchain: &inputs.toolchain,
    };
    let manifest = manifest::manifest(about, &loaded, &igvm, &read::read(&igvm)?)?;
    Ok(Image {
        manifest,
        ranges: loaded.iter().map(range).collect(),
        igvm,
    })
}

fn paravisor(inputs: &Inputs) -> Result<Option<Program>> {
    if let Some(file) = &inputs.paravisor_elf {
        return elf::load(file, &places::paravisor()).map(Some);
    }
    if inputs.policy.placement == Placement::Paravisor {
        return Err(Failure::user(
            "the policy demands a paravisor, and the image has none",
            "add the paravisor, or choose the placement `direct` or `host-chooses`",
        ));
    }
    Ok(None)
}

fn bundle(file: &[u8]) -> Loaded<'_> {
    Loaded {
        name: "bundle",
        file,
        gpa: layout::BUNDLE_BASE,
        bytes: file,
    }
}

fn component<'a>(name: &'static str, file: &'a [u8], program: &'a Program) -> Loaded<'a> {
    Loaded {
        name,
        file,
        gpa: program.base,
        bytes: &program.loaded,
    }
}

fn range(part: &Loaded<'_>) -> HashRange {
    HashRange {
        name: part.name.into(),
        gpa: part.gpa,
        len: part.bytes.len() as u64,
    }
}

/// Where each platform enters the stub.
fn entries(stub: &Program) -> Result<Entries> {
    Ok(Entries {
        snp: stub.symbol("entry_snp")?,
        native: stub.symbol("entry_native")?,
        reset: stub.code("entry_reset")?,
    })
}

fn check_bundle(file: &[u8]) -> Result<()> {
    let room = layout::BUNDLE_END - layout::BUNDLE_BASE;
    let whole = Bundle::parse(super::bundle::words(file).as_bytes()).is_some();
    if file.len() as u64 > room || !whole {
        return Err(Failure::image(
            format!("the bundle is no archive of at most {room:#x} bytes"),
            "build it with `tessera build`",
        ));
    }
    Ok(())
}
