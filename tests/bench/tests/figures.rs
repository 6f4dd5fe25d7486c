//! The counts against the committed table: a regression fails with the row's name on the toolchain
//! that the table names, and is only said on another one. Two runs must agree to the instruction.

use std::process::ExitCode;
use tessera_bench::{committed::Committed, count::Counter, rows};
use tessera_defs::mode::Mode;
use tessera_image_builder::{
    Result,
    build::{PolicyName, Recipe, Workspace, whole},
    setup::{self, Host, Qemu},
};

fn main() -> ExitCode {
    // Filters of `cargo test` that are for other tests.
    let words: Vec<String> = std::env::args().skip(1).collect();
    let list = words.iter().any(|word| word == "--list");
    let wanted = |word: &String| word.starts_with('-') || "figures".contains(word.as_str());
    if list || !words.iter().all(wanted) {
        println!(
            "{}",
            if list {
                "figures: test"
            } else {
                "test result: ok. 0 passed"
            }
        );
        return ExitCode::SUCCESS;
    }
    match run() {
        Ok(faults) if faults.is_empty() => {
            println!("test result: ok. 1 passed; 0 failed");
            ExitCode::SUCCESS
        }
        Ok(faults) => {
            faults.iter().for_each(|fault| eprintln!("FAILED {fault}"));
            ExitCode::FAILURE
        }
        Err(failure) => {
            eprintln!("FAILED {failure}");
            ExitCode::FAILURE
        }
    }
}

fn run() -> Result<Vec<String>> {
    let host = Host::current();
    let qemu = Qemu::detect(&host).require()?;
    let toolchain = setup::toolchain(&host)?;
    let workspace = Workspace::find(&host)?;
    let product = whole(&toolchain, &workspace, &Recipe::of(PolicyName::Demo), true)?;
    let rustc = product.inputs.toolchain.rustc.clone();
    let counter = Counter::prepare(qemu, &workspace, &product)?;
    let (first, second) = (counter.rows(None, &Mode::ALL)?, counter.rows(None, &[])?);
    let committed = Committed::load()?;
    let mut faults = committed.regressions(&first);
    if committed.rustc != rustc {
        println!(
            "the table is of {}, this is {rustc}: only said, not judged",
            committed.rustc
        );
        faults.drain(..).for_each(|fault| println!("{fault}"));
    }
    faults.extend(rows::faults(&first));
    if !first.starts_with(&second) {
        faults.push(format!("two runs differ: {first:?} and {second:?}"));
    }
    Ok(faults)
}
