//! The image whose guest is Linux. `crate::linux` says what stands where.

use super::assemble::{HashRange, Image, Loaded};
use super::elf::{self, Program};
use super::igvm_file::{self, Entries, Pages};
use super::launch_block;
use super::manifest::{self, About, ToolchainInfo};
use super::{Policy, places, read};
use crate::Result;
use sha2::{Digest, Sha256};
use tessera_handoff::launch::{self, Component, LaunchBlock, Segment, segment};
use tessera_handoff::layout;
use zerocopy::{FromZeros, IntoBytes};

/// What it is made of, with places.
#[derive(Debug)]
pub struct Linux<'a> {
    /// tessera-stub.
    pub stub_elf: &'a [u8],
    /// tessera-paravisor, if the file brings one.
    pub paravisor_elf: Option<&'a [u8]>,
    /// The whole bzImage, for the manifest.
    pub file: &'a [u8],
    /// Its protected-mode part.
    pub kernel: &'a [u8],
    /// Where that stands.
    pub base: u64,
    /// Memory that it needs from there on.
    pub room: u64,
    /// Its 64-bit entry.
    pub entry: u64,
    /// The initrd; may be empty.
    pub initrd: &'a [u8],
    /// Where it stands.
    pub initrd_base: u64,
    /// It accepts memory by itself.
    pub accepts: bool,
    /// Measured pages in our image's room.
    pub tables: &'a [(u64, &'a [u8])],
    /// The owner's policy.
    pub policy: Policy,
    /// Commit of the sources.
    pub commit: &'a str,
    /// What built the stub.
    pub toolchain: &'a ToolchainInfo,
}

/// Assembles the image. The same inputs give the same bytes.
pub fn assemble_linux(linux: &Linux<'_>) -> Result<Image> {
    let stub = elf::load(linux.stub_elf, &places::stub())?;
    let kernel = padded(linux.kernel);
    let initrd = padded(linux.initrd);
    let paravisor = paravisor(linux)?;
    let block = launch_block(linux, &kernel, paravisor.as_ref())?;
    let mut loaded = vec![
        ("stub", linux.stub_elf, stub.base, &stub.loaded[..]),
        ("kernel", linux.file, linux.base, &kernel),
        ("bundle", linux.initrd, linux.initrd_base, &initrd),
    ];
    if let (Some(file), Some(program)) = (linux.paravisor_elf, &paravisor) {
        loaded.push(("paravisor", file, program.base, &program.loaded));
    }
    let loaded = loaded.into_iter().map(|(name, file, gpa, bytes)| Loaded {
        name,
        file,
        gpa,
        bytes,
    });
    let loaded: Vec<_> = loaded.collect();
    let mut pages = Pages::new();
    for part in &loaded {
        igvm_file::spread(&mut pages, part.gpa, part.bytes);
    }
    igvm_file::spread(&mut pages, layout::LAUNCH_BLOCK, block.as_bytes());
    for (gpa, bytes) in linux.tables {
        igvm_file::spread(&mut pages, *gpa, bytes);
    }
    let room = |part: &Loaded<'_>| part.gpa..part.gpa + part.bytes.len() as u64;
    let rooms = [room(&loaded[1]), room(&loaded[2])];
    let entries = Entries {
        snp: stub.symbol("entry_snp")?,
        native: stub.symbol("entry_native")?,
        reset: stub.code("entry_reset")?,
    };
    let igvm = igvm_file::igvm_file(&pages, &rooms, &entries, linux.policy.snp())?;
    let about = About {
        policy: &linux.policy,
        commit: linux.commit,
        toolchain: linux.toolchain,
    };
    let manifest = manifest::manifest(about, &loaded, &igvm, &read::read(&igvm)?)?;
    let ranges = loaded.iter().map(|part| HashRange {
        name: part.name.into(),
        gpa: part.gpa,
        len: part.bytes.len() as u64,
    });
    Ok(Image {
        manifest,
        ranges: ranges.collect(),
        igvm,
    })
}

fn padded(bytes: &[u8]) -> Vec<u8> {
    let mut bytes = bytes.to_vec();
    bytes.resize(bytes.len().next_multiple_of(4096), 0);
    bytes
}

fn paravisor(linux: &Linux<'_>) -> Result<Option<Program>> {
    let load = |file| elf::load(file, &places::paravisor());
    linux.paravisor_elf.map(load).transpose()
}

fn launch_block(
    linux: &Linux<'_>,
    kernel: &[u8],
    paravisor: Option<&Program>,
) -> Result<LaunchBlock> {
    let mut block = LaunchBlock::new_zeroed();
    (block.magic, block.version) = (launch::MAGIC, launch::VERSION);
    block.flags = linux.policy.flags() | launch::FLAG_LINUX;
    if !linux.accepts {
        block.flags |= launch::FLAG_ACCEPT_ALL;
    }
    block.modes = linux.policy.mode_mask();
    block.placement = linux.policy.placement_number();
    block.kernel = Component {
        base: linux.base,
        len: kernel.len() as u64,
        entry: linux.entry,
        sha256: Sha256::digest(kernel).into(),
        ..Component::default()
    };
    block.kernel.segments[0] = Segment {
        virt: linux.base,
        phys: linux.base,
        len: linux.room,
        flags: segment::W | segment::X,
        reserved: 0,
    };
    block.bundle = Component {
        base: linux.initrd_base,
        len: linux.initrd.len() as u64,
        sha256: Sha256::digest(linux.initrd).into(),
        ..Component::default()
    };
    if let Some(program) = paravisor {
        block.paravisor = launch_block::program(program);
    }
    block.commit = launch_block::commit(linux.commit)?;
    Ok(block)
}
