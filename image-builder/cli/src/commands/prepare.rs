//! Everything that a boot needs, built.

use tessera_image_builder::{
    Result,
    build::{self, PolicyName, Recipe, Workspace},
    setup::{self, Host, Qemu},
};
use tessera_matrix::bench::Bench;

/// Builds programs and images. Never asks and never installs; `tessera setup` does.
pub fn bench(host: &Host, offline: bool) -> Result<Bench> {
    let qemu = Qemu::detect(host).require()?;
    let toolchain = setup::toolchain(host)?;
    let workspace = Workspace::find(host)?;
    let recipe = Recipe::of(PolicyName::Demo);
    let product = build::whole(&toolchain, &workspace, &recipe, offline)?;
    Bench::prepare(qemu, &workspace, &product)
}
