//! Everything that a boot needs, built.

use tessera_image_builder::{
    Failure, Result,
    build::{self, PolicyName, Recipe, Workspace},
    setup::{self, Host, Qemu},
};
use tessera_matrix::{bench::Bench, interrupt};

/// Builds programs and images. Never asks and never installs; `tessera setup` does. From then
/// on signals end boots in order.
pub fn bench(host: &Host, offline: bool) -> Result<Bench> {
    let qemu = Qemu::detect(host).require()?;
    let toolchain = setup::toolchain(host)?;
    let workspace = Workspace::find(host)?;
    let recipe = Recipe::of(PolicyName::Demo);
    let product = build::whole(&toolchain, &workspace, &recipe, offline)?;
    let bench = Bench::prepare(qemu, &workspace, &product)?;
    interrupt::watch().map_err(|error| {
        Failure::machine(format!("signals cannot be handled: {error}"), "report this")
    })?;
    Ok(bench)
}

/// What a signal to stop comes to.
pub fn stopped() -> Failure {
    Failure::user("stopped by a signal", "run it again")
}
