//! `tessera build`.

use crate::args::Build;
use tessera_image_builder::{
    Result,
    build::{self, Recipe, Workspace},
    setup::{self, Host},
};

/// Builds, assembles and writes the files, all of them or none.
pub fn run(host: &Host, options: &Build) -> Result<()> {
    let policy = options.policy.as_deref().map(str::parse).transpose()?;
    let recipe = Recipe::load(policy, options.recipe.as_deref())?;
    build::Output::prepare(&options.out)?;
    let workspace = Workspace::find(host)?;
    let toolchain = setup::toolchain(host)?;
    let product = build::whole(&toolchain, &workspace, &recipe, options.offline)?;
    let folder = product.publish(&options.out)?;
    let manifest = &product.image.manifest;
    let mut text = format!("{}\n", folder.display());
    for component in &manifest.components {
        let (name, hash) = (&component.name, &component.loaded_sha256);
        text += &format!("  {name:<10} {:>8} bytes  sha256 {hash}\n", component.len);
    }
    let bytes = product.image.igvm.len();
    text += &format!(
        "  {:<10} {bytes:>8} bytes  sha256 {}\n",
        "image", manifest.igvm_sha256
    );
    super::say(&text)
}
