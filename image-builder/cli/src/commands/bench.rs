//! `tessera bench`.

use super::say;
use crate::args::Bench;
use tessera_bench::{count::Counter, table};
use tessera_defs::mode::Mode;
use tessera_image_builder::{
    Result,
    build::{self, PolicyName, Recipe, Workspace},
    progress::Step,
    setup::{self, Host, Qemu},
};

/// Counts on plain QEMU, then on the test host in each chosen mode, and prints the table.
pub fn run(host: &Host, options: &Bench) -> Result<()> {
    let chosen: Vec<Mode> = options
        .mode
        .iter()
        .map(|name| build::mode(name))
        .collect::<Result<_>>()?;
    let qemu = Qemu::detect(host).require()?;
    let toolchain = setup::toolchain(host)?;
    let workspace = Workspace::find(host)?;
    let recipe = Recipe::of(PolicyName::Demo);
    let product = build::whole(&toolchain, &workspace, &recipe, options.offline)?;
    let counter = Counter::prepare(qemu, &workspace, &product)?;
    let mut step = Step::start("counting".to_owned());
    step.advance("plain QEMU");
    let mut modes = vec![("none".to_owned(), counter.direct()?)];
    let wanted = |mode: &Mode| chosen.is_empty() || chosen.contains(mode);
    for mode in Mode::ALL.into_iter().filter(wanted) {
        step.advance(mode.name());
        modes.push((format!("{}-hosted", mode.name()), counter.hosted(mode)?));
    }
    step.done();
    if options.json {
        return say(&table::json(&modes));
    }
    say(&table::text(&modes))?;
    say(&format!("compiler: {}\n", product.inputs.toolchain.rustc))?;
    say("Counts of instructions under QEMU, not cycles; the others' are recorded, not taken now.\n")
}
