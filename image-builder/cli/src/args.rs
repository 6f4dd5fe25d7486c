//! The command line.

use clap::{Args, Parser, Subcommand};
use std::{num::NonZero, path::PathBuf};
use tessera_handoff::command_line::Level;
use tessera_matrix::bench::PROCESSORS;

const VERSION: &str = concat!(env!("CARGO_PKG_VERSION"), " (", env!("TESSERA_COMMIT"), ")");

/// One guest image that boots in every confidential mode: build it, measure it, and boot it on a
/// simulated host, hostile ones included. No special hardware is needed.
#[derive(Debug, Parser)]
#[command(name = "tessera", version = VERSION, args_conflicts_with_subcommands = true)]
pub struct Arguments {
    /// What to do; `demo` if left out.
    #[command(subcommand)]
    pub command: Option<Command>,
    /// For `demo` without its name: print what is missing and how to install it, and stop
    #[arg(long)]
    pub no_install: bool,
    /// For `demo` without its name: do not use the network
    #[arg(long)]
    pub offline: bool,
}

/// The subcommands.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// Set the machine up, build the image and boot it on friendly and hostile hosts (the default)
    Demo(Demo),
    /// Find what this machine lacks for building and booting, and install it after asking
    Setup(Setup),
    /// Build the image: tessera.igvm, the programs in it, and manifest.json
    Build(Build),
    /// Show what an IGVM file holds: platforms, pages, policy, components
    Inspect(File),
    /// Predict what hardware will report when it launches an IGVM file
    Measure(File),
    /// Boot the image once, its console on the terminal
    Run(Run),
    /// Run somebody else's guest on the test host: an IGVM file, or a Linux kernel
    Host(Foreign),
    /// Boot the image on every chosen host and judge how each boot ends
    Matrix(Matrix),
    /// Count the instructions of the kernel's paths, beside what others have published
    Bench(Bench),
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
    /// What the image boots: `tessera`, or `linux:VMLINUZ` for a Linux kernel over our stub
    #[arg(long, value_name = "GUEST", default_value = "tessera")]
    pub guest: String,
    /// The initrd of a Linux guest
    #[arg(long, value_name = "FILE")]
    pub initrd: Option<PathBuf>,
    /// The command line of a Linux guest, measured
    #[arg(long, value_name = "LINE")]
    pub append: Option<String>,
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

/// Arguments of `demo`.
#[derive(Debug, Args)]
pub struct Demo {
    /// Print what is missing and how to install it, and stop
    #[arg(long)]
    pub no_install: bool,
    /// Do not use the network
    #[arg(long)]
    pub offline: bool,
}

/// Arguments of `run`.
#[derive(Debug, Args)]
pub struct Run {
    /// What the host offers: none, snp, tdx, snp-paravisor or tdx-paravisor
    #[arg(long)]
    pub mode: String,
    /// How the host behaves; `tessera matrix --list` names all scenarios
    #[arg(long, default_value = "friendly", conflicts_with = "direct")]
    pub scenario: String,
    /// On plain QEMU by the PVH entry, without the test host; mode `none` only
    #[arg(long)]
    pub direct: bool,
    /// Virtual processors of the guest, 1 to 64 [default: the scenario's]. The kernel uses up to 8
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..=i64::from(PROCESSORS)))]
    pub smp: Option<u32>,
    /// How much the kernel prints: off, error, warn, info, debug or trace [default: info]
    #[arg(long, value_name = "LEVEL", value_parser = Level::ALL.map(Level::name), hide_possible_values = true)]
    pub log: Option<String>,
    /// Pass standard input to the guest's console, whose monitor keeps the guest up until `quit`
    #[arg(long)]
    pub monitor: bool,
    /// Wait for a debugger on this TCP port before the first instruction
    #[arg(long, value_name = "PORT")]
    pub gdb: Option<u16>,
    /// Print the host's trace, one JSON object a line, after the console
    #[arg(long, value_name = "WHAT", value_parser = ["exits"], conflicts_with = "direct")]
    pub trace: Option<String>,
    /// Do not use the network
    #[arg(long)]
    pub offline: bool,
}

/// Arguments of `host`.
#[derive(Debug, Args)]
#[group(skip)]
pub struct Foreign {
    /// What the host offers: none, snp, tdx, snp-paravisor or tdx-paravisor
    #[arg(long)]
    pub mode: String,
    /// An IGVM file
    #[arg(
        long,
        value_name = "FILE",
        required_unless_present = "linux",
        conflicts_with = "linux"
    )]
    pub igvm: Option<PathBuf>,
    /// A Linux bzImage, started by our boot stub
    #[arg(long, value_name = "VMLINUZ")]
    pub linux: Option<PathBuf>,
    /// Its initrd [default: a shell of Debian's busybox]
    #[arg(long, value_name = "FILE", requires = "linux")]
    pub initrd: Option<PathBuf>,
    /// Its command line, measured [default: console=ttyS0 panic=-1]
    #[arg(long, value_name = "LINE", requires = "linux")]
    pub append: Option<String>,
    /// How the host looks: hyperv or kvm
    #[arg(long, value_name = "PROFILE", default_value = "hyperv")]
    pub profile: String,
    /// Virtual processors, 1 to 64; they run in turns
    #[arg(long, value_name = "N", default_value_t = 1, value_parser = clap::value_parser!(u32).range(1..=i64::from(PROCESSORS)))]
    pub smp: u32,
    /// Memory: a number with M or G, to 256G; what the guest touches at once must fit into 2 GiB
    #[arg(long, value_name = "SIZE", default_value = "512M")]
    pub memory: String,
    /// Print the host's trace, one JSON object a line, after the console
    #[arg(long, value_name = "WHAT", value_parser = ["exits"])]
    pub trace: Option<String>,
    /// Do not use the network
    #[arg(long)]
    pub offline: bool,
}

/// Arguments of `matrix`.
#[derive(Debug, Args)]
pub struct Matrix {
    /// Only this mode; may be repeated
    #[arg(long)]
    pub mode: Vec<String>,
    /// Only this scenario, in each of its modes; may be repeated
    #[arg(long)]
    pub scenario: Vec<String>,
    /// Every scenario in every one of its modes, and stock Linux in all that it boots in
    #[arg(long)]
    pub full: bool,
    /// List the boots and what each stands for, and stop
    #[arg(long)]
    pub list: bool,
    /// Boots at a time [default: one for each processor]
    #[arg(long, value_name = "N")]
    pub jobs: Option<NonZero<usize>>,
    /// Print one JSON object a line instead of the table
    #[arg(long)]
    pub json: bool,
    /// Also write the results as JUnit XML
    #[arg(long, value_name = "FILE")]
    pub junit: Option<PathBuf>,
    /// Do not use the network
    #[arg(long)]
    pub offline: bool,
}

/// Arguments of `bench`.
#[derive(Debug, Args)]
pub struct Bench {
    /// Only this mode, beside plain QEMU; may be repeated [default: every mode]
    #[arg(long)]
    pub mode: Vec<String>,
    /// Count this system too, in the same way, in the same run
    #[arg(long, value_enum)]
    pub peer: Option<Other>,
    /// Print one JSON object a line instead of the table
    #[arg(long)]
    pub json: bool,
    /// Do not use the network
    #[arg(long)]
    pub offline: bool,
}

/// Systems of others that can be counted.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
pub enum Other {
    /// Debian's stock cloud kernel, 6.12, fetched by apt
    Linux,
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
