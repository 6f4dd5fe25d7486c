//! `tessera build`.

use super::linux;
use crate::args::Build;
use std::path::Path;
use tessera_image_builder::{
    Failure, Result,
    build::{self, Recipe, Workspace},
    image::Image,
    setup::{self, Host},
};

/// Builds, assembles and writes the files, all of them or none.
pub fn run(host: &Host, options: &Build) -> Result<()> {
    if let Some(path) = linux::guest(&options.guest)? {
        return linux::build(host, options, path);
    }
    if options.initrd.is_some() || options.append.is_some() {
        let cause = "--initrd and --append are for a Linux guest";
        return Err(Failure::user(
            cause,
            "add --guest linux:VMLINUZ, or drop them",
        ));
    }
    let policy = options.policy.as_deref().map(str::parse).transpose()?;
    let recipe = Recipe::load(policy, options.recipe.as_deref())?;
    build::Output::prepare(&options.out)?;
    let workspace = Workspace::find(host)?;
    let toolchain = setup::toolchain(host)?;
    let product = build::whole(&toolchain, &workspace, &recipe, options.offline)?;
    let folder = product.publish(&options.out)?;
    super::say(&summary(&folder, &product.image))
}

/// What was written, for people.
pub(super) fn summary(folder: &Path, image: &Image) -> String {
    let manifest = &image.manifest;
    let mut text = format!("{}\n", folder.display());
    for component in &manifest.components {
        let (name, hash) = (&component.name, &component.loaded_sha256);
        text += &format!("  {name:<10} {:>8} bytes  sha256 {hash}\n", component.len);
    }
    let bytes = image.igvm.len();
    text += &format!(
        "  {:<10} {bytes:>8} bytes  sha256 {}\n",
        "image", manifest.igvm_sha256
    );
    text
}
