//! Debian's stock Linux in every mode: the part of `matrix --full` that a test program does, because it has what the guests
//! read verified by other projects' crates, which are no part of this command.

use super::say;
use std::{io, process::Stdio};
use tessera_image_builder::{Failure, Party, Result, build::Workspace, setup::Host};
use tessera_matrix::stock::{BOOTS, Boot};

/// Runs that program, with its words on standard error where this command's own are for a program. Fails where it does.
pub fn run(host: &Host, offline: bool, json: bool) -> Result<()> {
    let workspace = Workspace::find(host)?;
    let mut cargo = host.command(host.var("CARGO").unwrap_or("cargo".as_ref()));
    cargo
        .args([
            "test",
            "--locked",
            "--package=tessera-matrix",
            "--test=linux",
        ])
        .args(offline.then_some("--offline"))
        .args(["--", "--full"])
        .current_dir(&workspace.root);
    if json {
        cargo.stdout(Stdio::from(io::stderr()));
    } else {
        say(&format!("\nstock Linux, {} boots\n", BOOTS.len()))?;
    }
    let status = cargo.status().map_err(|error| {
        Failure::machine(
            format!("cargo does not start: {error}"),
            "install Rust's cargo",
        )
    })?;
    match status.success() {
        true => Ok(()),
        false => Err(Failure::new(
            Party::Image,
            "stock Linux did not boot as it must in every mode",
            "see what its tests said",
        )),
    }
}

/// A line for each boot, as those of the rows.
pub fn list() -> String {
    let line = |boot: &Boot| {
        let mode = boot.mode.name();
        let name = boot.name().replacen(&format!(" {mode}"), "", 1);
        let what =
            "Debian's kernel comes to a prompt, uses its memory, reads its evidence, powers off";
        format!("{mode:<15} {name:<24} {:<36} {what}\n", "runs")
    };
    BOOTS.iter().map(line).collect()
}
