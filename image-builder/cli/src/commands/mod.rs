//! One file per subcommand.

mod build;
mod clean;
mod explain;
mod file;
mod setup;

use crate::args::{Arguments, Command};
use std::{io::Write, process::ExitCode};
use tessera_image_builder::{Result, setup::Host};

/// Carries the command out on this machine.
pub fn run(arguments: Arguments) -> Result<ExitCode> {
    let host = Host::current();
    match arguments.command {
        Command::Setup(options) => setup::run(&host, &options),
        Command::Build(options) => build::run(&host, &options),
        Command::Inspect(options) => file::inspect(&options.file),
        Command::Measure(options) => file::measure(&options.file),
        Command::Explain(options) => explain::run(options.name.as_deref()),
        Command::Clean(options) => clean::run(&host, &options.out),
    }?;
    Ok(ExitCode::SUCCESS)
}

/// Prints `text` to standard output. A reader that went away is no failure of ours.
fn say(text: &str) {
    let mut out = std::io::stdout().lock();
    out.write_all(text.as_bytes())
        .and_then(|()| out.flush())
        .ok();
}
