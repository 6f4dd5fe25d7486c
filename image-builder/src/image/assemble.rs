//! From the four programs to the image.

use super::elf::{self, Place, Program};
use super::igvm_file::{self, Entries, Pages};
use super::{Policy, launch_block, manifest, read};
use super::manifest::{Manifest, ToolchainInfo};
use crate::{Failure, Result};
use tessera_defs::x86::PAGE_SIZE;
use tessera_handoff::layout;
use zerocopy::IntoBytes;

/// What an image is made of.
#[derive(Debug, Clone)]
pub struct Inputs {
    /// tessera-stub.
    pub stub_elf: Vec<u8>,
    /// tessera-kernel.
    pub kernel_elf: Vec<u8>,
    /// tessera-paravisor.
    pub paravisor_elf: Vec<u8>,
    /// tessera-init, taken as a file.
    pub bundle_elf: Vec<u8>,
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
/// a program that does not fit, breaks W^X, or lacks an entry.
pub fn assemble(inputs: &Inputs) -> Result<Image> {
    let stub = elf::load(&inputs.stub_elf, &stub_place())?;
    let kernel = elf::load(&inputs.kernel_elf, &kernel_place())?;
    let paravisor = elf::load(&inputs.paravisor_elf, &paravisor_place())?;
    check_bundle(&inputs.bundle_elf)?;
    let block = launch_block::launch_block(inputs, &kernel, &paravisor)?;
    let entries = entries(&stub)?;
    let loaded = [
        component("stub", &inputs.stub_elf, &stub),
        component("kernel", &inputs.kernel_elf, &kernel),
        component("paravisor", &inputs.paravisor_elf, &paravisor),
        Loaded {
            name: "bundle",
            file: &inputs.bundle_elf,
            gpa: layout::BUNDLE_BASE,
            bytes: &inputs.bundle_elf,
        },
    ];
    let mut pages = Pages::new();
    for part in &loaded {
        igvm_file::spread(&mut pages, part.gpa, part.bytes);
    }
    igvm_file::spread(&mut pages, layout::LAUNCH_BLOCK, block.as_bytes());
    let igvm = igvm_file::igvm_file(&pages, &entries, inputs.policy.snp())?;
    let manifest = manifest::manifest(inputs, &loaded, &igvm, &read::read(&igvm)?)?;
    Ok(Image { manifest, ranges: loaded.iter().map(range).collect(), igvm })
}

fn component<'a>(name: &'static str, file: &'a [u8], program: &'a Program) -> Loaded<'a> {
    Loaded { name, file, gpa: program.base, bytes: &program.loaded }
}

fn range(part: &Loaded<'_>) -> HashRange {
    HashRange { name: part.name.into(), gpa: part.gpa, len: part.bytes.len() as u64 }
}

/// All entries must exist; `entry_lower` is for the paravisor, which finds it in the stub.
fn entries(stub: &Program) -> Result<Entries> {
    stub.symbol("entry_lower")?;
    Ok(Entries {
        snp: stub.symbol("entry_snp")?,
        native: stub.symbol("entry_native")?,
        tdx32: stub.symbol("entry_tdx32")?,
    })
}

fn stub_place() -> Place {
    let end = layout::STUB_END - layout::STACK_PAGES * PAGE_SIZE;
    Place { name: "stub", virt_base: layout::STUB_BASE, room: layout::STUB_BASE..end }
}

fn kernel_place() -> Place {
    let room = layout::KERNEL_BASE..layout::KERNEL_END;
    Place { name: "kernel", virt_base: layout::KERNEL_VIRT, room }
}

fn paravisor_place() -> Place {
    let room = layout::PARAVISOR_BASE..layout::PARAVISOR_STACK;
    Place { name: "paravisor", virt_base: layout::KERNEL_VIRT, room }
}

fn check_bundle(file: &[u8]) -> Result<()> {
    let room = layout::BUNDLE_END - layout::BUNDLE_BASE;
    if file.len() as u64 > room || !file.starts_with(b"\x7FELF") {
        return Err(Failure::image(
            format!("the bundle is no ELF file of at most {room:#x} bytes"),
            "build it with `tessera build`",
        ));
    }
    Ok(())
}
