//! The measured launch block.

use super::{assemble::Inputs, elf::Program};
use crate::{Failure, Result};
use sha2::{Digest, Sha256};
use tessera_handoff::launch::{Component, LaunchBlock, MAGIC, MAX_SEGMENTS, Segment, VERSION};
use tessera_handoff::layout::BUNDLE_BASE;

/// The block for these programs; without a paravisor its length is 0. Errors: a commit that is no ASCII text of at most 40 bytes.
pub fn launch_block(
    inputs: &Inputs,
    kernel: &Program,
    paravisor: Option<&Program>,
) -> Result<LaunchBlock> {
    Ok(LaunchBlock {
        magic: MAGIC,
        version: VERSION,
        flags: inputs.policy.flags(),
        modes: inputs.policy.mode_mask(),
        placement: inputs.policy.placement_number(),
        kernel: program(kernel),
        paravisor: paravisor.map(program).unwrap_or_default(),
        bundle: bundle(&inputs.bundle),
        commit: commit(&inputs.commit)?,
    })
}

pub(super) fn program(program: &Program) -> Component {
    let mut segments = [Segment::default(); MAX_SEGMENTS];
    segments[..program.segments.len()].copy_from_slice(&program.segments);
    Component {
        base: program.base,
        len: program.loaded.len() as u64,
        entry: program.entry,
        segments,
        sha256: Sha256::digest(&program.loaded).into(),
    }
}

/// The bundle is an archive; its reader finds the programs in it.
fn bundle(file: &[u8]) -> Component {
    Component {
        base: BUNDLE_BASE,
        len: file.len() as u64,
        sha256: Sha256::digest(file).into(),
        ..Component::default()
    }
}

pub(super) fn commit(text: &str) -> Result<[u8; 40]> {
    let mut field = [0; 40];
    if !text.is_ascii() || text.len() > field.len() {
        return Err(Failure::user(
            format!("`{text}` is no commit name"),
            "give at most 40 ASCII characters",
        ));
    }
    field[..text.len()].copy_from_slice(text.as_bytes());
    Ok(field)
}
