//! One file per subcommand.

mod bench;
mod build;
mod clean;
mod demo;
mod explain;
mod file;
mod foreign;
mod linux;
mod matrix;
mod prepare;
mod run;
mod setup;
mod stock;
mod terminal;

use crate::args::{Arguments, Command, Demo};
use std::{
    io::{ErrorKind, Write},
    path::Path,
    process::ExitCode,
};
use tessera_image_builder::{Failure, Result, setup::Host};

/// Carries the command out on this machine.
pub fn run(arguments: Arguments) -> Result<ExitCode> {
    let host = Host::current();
    let (no_install, offline) = (arguments.no_install, arguments.offline);
    let demo = || {
        Command::Demo(Demo {
            no_install,
            offline,
        })
    };
    match arguments.command.unwrap_or_else(demo) {
        Command::Demo(options) => demo::run(&host, &options),
        Command::Run(options) => run::run(&host, &options),
        Command::Host(options) => foreign::run(&host, &options),
        Command::Matrix(options) => matrix::run(&host, &options),
        Command::Bench(options) => bench::run(&host, &options),
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
fn say(text: &str) -> Result<()> {
    let mut out = std::io::stdout().lock();
    match out.write_all(text.as_bytes()).and_then(|()| out.flush()) {
        Err(error) if error.kind() != ErrorKind::BrokenPipe => Err(Failure::io(
            "write to",
            Path::new("standard output"),
            &error,
        )),
        _ => Ok(()),
    }
}
