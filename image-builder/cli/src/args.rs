//! The command line.

use clap::{Args, Parser, Subcommand};
use std::path::PathBuf;

const VERSION: &str = concat!(env!("CARGO_PKG_VERSION"), " (", env!("TESSERA_COMMIT"), ")");

/// One guest image that boots in every confidential mode: build it, measure it, and boot it on a
/// simulated host, hostile ones included. No special hardware is needed.
#[derive(Debug, Parser)]
#[command(name = "tessera", version = VERSION, arg_required_else_help = false)]
pub struct Arguments {
    /// What to do.
    #[command(subcommand)]
    pub command: Command,
}

/// The subcommands.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// Find what this machine lacks for building and booting, and install it after asking
    Setup(Setup),
    /// Build the image: tessera.igvm, the programs in it, and manifest.json
    Build(Build),
    /// Show what an IGVM file holds: platforms, pages, policy, components
    Inspect(File),
    /// Predict what hardware will report when it launches an IGVM file
    Measure(File),
    /// Explain a refusal or a breach by its name: cause, who is at fault, remedy
    Explain(Explain),
    /// Remove the cache, the bare-metal build results and the files that `build` wrote
    Clean(Clean),
}

/// Arguments of `setup`.
#[derive(Debug, Args)]
pub struct Setup {
    /// Only say what is missing; the exit status is 0 if nothing is
    #[arg(long)]
    pub check: bool,
    /// Print the commands that would install what is missing, and stop
    #[arg(long)]
    pub no_install: bool,
    /// Do not use the network
    #[arg(long)]
    pub offline: bool,
}

/// Arguments of `build`.
#[derive(Debug, Args)]
pub struct Build {
    /// Folder for the results
    #[arg(long, value_name = "DIR", default_value = "out")]
    pub out: PathBuf,
    /// The owner's policy, `demo` or `production`; wins over the recipe's [default: demo]
    #[arg(long, value_name = "POLICY")]
    pub policy: Option<String>,
    /// A TOML or JSON file with the keys policy, modes, placement and debug
    #[arg(long, value_name = "FILE")]
    pub recipe: Option<PathBuf>,
    /// Do not use the network
    #[arg(long)]
    pub offline: bool,
}

/// Arguments of `inspect` and `measure`.
#[derive(Debug, Args)]
pub struct File {
    /// An IGVM file
    #[arg(value_name = "FILE.igvm")]
    pub file: PathBuf,
}

/// Arguments of `explain`.
#[derive(Debug, Args)]
pub struct Explain {
    /// Name or code (0x01) of a refusal, or the name of a breach; all names if left out
    pub name: Option<String>,
}

/// Arguments of `clean`.
#[derive(Debug, Args)]
pub struct Clean {
    /// Folder that `build` wrote to
    #[arg(long, value_name = "DIR", default_value = "out")]
    pub out: PathBuf,
}
