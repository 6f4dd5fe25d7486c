//! A Linux kernel as the image's guest: `build --guest linux:VMLINUZ` and `host --linux`.

use crate::args::Build;
use std::{
    fs,
    path::{Path, PathBuf},
};
use tessera_image_builder::{
    Failure, Result,
    build::{self, Programs, Recipe, Workspace},
    image::{Image, Policy, slurp},
    linux::{self, Inputs},
    setup::{self, Host},
};

/// The kernel of `linux:VMLINUZ`; nothing for `tessera`.
pub fn guest(text: &str) -> Result<Option<&Path>> {
    match (text, text.strip_prefix("linux:")) {
        ("tessera", _) => Ok(None),
        (_, Some(path)) if !path.is_empty() => Ok(Some(Path::new(path))),
        _ => Err(Failure::user(
            format!("there is no guest `{text}`"),
            "use `tessera` or `linux:VMLINUZ`",
        )),
    }
}

/// What the user gives.
pub struct Parts<'a> {
    /// The bzImage.
    pub kernel: &'a Path,
    /// The initrd; may be empty.
    pub initrd: Vec<u8>,
    /// The command line.
    pub append: &'a str,
}

/// Builds stub and paravisor and packs the file. Returns the other programs too.
pub fn pack(
    host: &Host,
    parts: Parts<'_>,
    recipe: &Recipe,
    offline: bool,
) -> Result<(Image, Programs)> {
    // Read first, so that a wrong name is said before a long build.
    let kernel = slurp(parts.kernel)?;
    linux::fits(&kernel, parts.initrd.len() as u64)?;
    let workspace = Workspace::find(host)?;
    let toolchain = setup::toolchain(host)?;
    let programs = build::programs(&toolchain, &workspace, offline)?;
    let read = |name| {
        let path = programs.only(name)?;
        fs::read(path).map_err(|error| Failure::io("read", path, &error))
    };
    let image = linux::assemble(&Inputs {
        stub_elf: read("tessera-stub")?,
        paravisor_elf: Some(read("tessera-paravisor")?),
        kernel,
        initrd: parts.initrd,
        command_line: parts.append.into(),
        policy: Policy::from(recipe),
        commit: workspace.commit(toolchain.host()),
        toolchain: build::describe(&toolchain, &workspace)?,
    })?;
    Ok((image, programs))
}

/// `tessera build --guest linux:VMLINUZ`: `tessera.igvm` and `manifest.json`.
pub fn build(host: &Host, options: &Build, kernel: &Path) -> Result<()> {
    let policy = options.policy.as_deref().map(str::parse).transpose()?;
    let recipe = Recipe::load(policy, options.recipe.as_deref())?;
    let mut output = build::Output::prepare(&options.out)?;
    let parts = Parts {
        kernel,
        initrd: options
            .initrd
            .as_deref()
            .map(slurp)
            .transpose()?
            .unwrap_or_default(),
        append: options.append.as_deref().unwrap_or_default(),
    };
    let (image, _) = pack(host, parts, &recipe, options.offline)?;
    output.add("tessera.igvm", &image.igvm)?;
    output.add("manifest.json", image.manifest.to_json()?.as_bytes())?;
    let folder: PathBuf = output.publish()?;
    super::say(&super::build::summary(&folder, &image))
}
