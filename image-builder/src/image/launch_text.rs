//! The launch block of a file, for readers.

use super::inspect::line;
use super::manifest::hex;
use super::read::{Action, Parsed, read};
use crate::{Failure, Result};
use tessera_defs::mode::Mode;
use tessera_handoff::launch::{self, LaunchBlock};
use tessera_handoff::layout::LAUNCH_BLOCK;
use zerocopy::FromBytes;

/// Text on the launch block, or that there is none.
pub fn describe(file: &Parsed<'_>) -> String {
    let mut text = String::new();
    match find(file) {
        Some(block) => launch_block(&mut text, &block),
        None => line(
            &mut text,
            "launch block",
            "none that all platforms share; this file was not built by Tessera",
        ),
    }
    text
}

/// The launch block, if the file has one of our version that is the same on every platform.
pub fn find(file: &Parsed<'_>) -> Option<LaunchBlock> {
    let mut pages = file.pages.iter().filter(|page| page.gpa == LAUNCH_BLOCK);
    let first = pages.next()?;
    let Action::Normal(Some(content)) = first.action else {
        return None;
    };
    let masks = pages.try_fold(first.mask, |masks, page| {
        (page.action == first.action).then_some(masks | page.mask)
    })?;
    if file
        .platforms
        .iter()
        .any(|platform| platform.mask & !masks != 0)
    {
        return None;
    }
    let (block, _) = LaunchBlock::read_from_prefix(content).ok()?;
    (block.magic == launch::MAGIC && block.version == launch::VERSION).then_some(block)
}

/// Whether a file can be booted in `mode`, as far as it says: a paravisor mode needs the file's paravisor.
/// One that was not built by Tessera says nothing, and what is wrong with it is for its loader to say. Errors
/// blame the user.
pub fn brings(bytes: &[u8], mode: Mode) -> Result<()> {
    let below = matches!(mode, Mode::SnpParavisor | Mode::TdxParavisor);
    match read(bytes).ok().as_ref().and_then(find) {
        Some(block) if below && block.paravisor.len == 0 => Err(Failure::user(
            format!(
                "the file brings no paravisor, and mode {} runs below one",
                mode.name()
            ),
            "name a file with one: `tessera build`, or `tessera build --guest linux:VMLINUZ` for a Linux kernel",
        )),
        _ => Ok(()),
    }
}

fn launch_block(text: &mut String, block: &LaunchBlock) {
    let commit: String = block
        .commit
        .iter()
        .take_while(|b| b.is_ascii_graphic())
        .map(|b| char::from(*b))
        .collect();
    line(
        text,
        "commit",
        if commit.is_empty() {
            "unknown"
        } else {
            &commit
        },
    );
    let has = |flag| block.flags & flag != 0;
    line(
        text,
        "policy",
        if has(launch::FLAG_DEMO) {
            "demo"
        } else {
            "production"
        },
    );
    line(
        text,
        "debugging",
        if has(launch::FLAG_DEBUG_ALLOWED) {
            "allowed"
        } else {
            "forbidden"
        },
    );
    let modes = Mode::ALL
        .into_iter()
        .filter(|mode| block.modes & mode.bit() != 0);
    line(
        text,
        "modes",
        &modes.map(Mode::name).collect::<Vec<_>>().join(", "),
    );
    line(text, "placement", placement(block.placement));
    for (name, part) in [
        ("kernel", &block.kernel),
        ("paravisor", &block.paravisor),
        ("bundle", &block.bundle),
    ] {
        let what = format!(
            "{:#x}, {} bytes, SHA-256 {}",
            part.base,
            part.len,
            hex(&part.sha256)
        );
        line(text, name, &what);
    }
}

fn placement(number: u32) -> &'static str {
    match number {
        launch::placement::HOST_CHOOSES => "host-chooses",
        launch::placement::DIRECT => "direct",
        launch::placement::PARAVISOR => "paravisor",
        _ => "unknown",
    }
}
