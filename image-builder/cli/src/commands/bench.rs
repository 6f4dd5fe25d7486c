//! `tessera bench`.

use super::say;
use crate::args::{Bench, Other};
use tessera_bench::{count::Counter, peer::Linux, table};
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
    let peer = match options.peer {
        Some(Other::Linux) => {
            step.advance("Linux");
            Some(Linux::prepare(host, &product, options.offline)?.count(&counter)?)
        }
        None => None,
    };
    step.advance("Tessera");
    let wanted = |mode: &Mode| chosen.is_empty() || chosen.contains(mode);
    let modes: Vec<_> = Mode::ALL.into_iter().filter(wanted).collect();
    let rows = counter.rows(peer.as_ref(), &modes)?;
    step.done();
    if options.json {
        return say(&table::json(&rows));
    }
    say(&table::text(&rows))?;
    say(&format!("compiler: {}\n", product.inputs.toolchain.rustc))
}
