//! Broken guests as a test program: proof that the test host sees each breach that it claims to
//! see. Ends with the line that `cargo test` programs end with.

use std::{
    fs,
    process::ExitCode,
    sync::atomic::{AtomicUsize, Ordering},
    thread,
    time::Instant,
};
use tessera_guest::catalogue::{ALL, Act};
use tessera_image_builder::{
    Failure, Result,
    build::{PolicyName, Product, Recipe, Workspace, whole},
    setup::{self, Host, Qemu},
};
use tessera_matrix::{bench::Bench, broken};

/// Boots at a time.
const JOBS: usize = 2;

fn main() -> ExitCode {
    let words: Vec<String> = std::env::args().skip(1).collect();
    let acts = chosen(&words);
    if words.iter().any(|word| word == "--list") {
        acts.iter()
            .for_each(|act| println!("{}: test", broken::name(act)));
        return ExitCode::SUCCESS;
    }
    let start = Instant::now();
    println!("\nrunning {} tests", acts.len());
    let passed = match acts.is_empty() {
        true => Ok(0),
        false => prepare().map(|(bench, product, guest)| run(&bench, &product, &guest, &acts)),
    };
    match passed {
        Ok(passed) => finish(passed, acts.len() - passed, start),
        Err(failure) => {
            println!("\nthe broken guests cannot run: {failure}");
            finish(0, acts.len(), start)
        }
    }
}

/// The acts whose names contain one of the filters that stand among cargo's words.
fn chosen(words: &[String]) -> Vec<&'static Act> {
    let filters: Vec<_> = words.iter().filter(|word| !word.starts_with('-')).collect();
    let wanted = |act: &&Act| {
        let name = broken::name(act);
        filters.is_empty() || filters.iter().any(|filter| name.contains(filter.as_str()))
    };
    ALL.iter().filter(wanted).collect()
}

/// Builds as the matrix does.
fn prepare() -> Result<(Bench, Product, Vec<u8>)> {
    let host = Host::current();
    let qemu = Qemu::detect(&host).require()?;
    let toolchain = setup::toolchain(&host)?;
    let workspace = Workspace::find(&host)?;
    let product = whole(&toolchain, &workspace, &Recipe::of(PolicyName::Demo), false)?;
    let bench = Bench::prepare(qemu, &workspace, &product)?;
    let path = product.programs.only("tessera-guest")?;
    let guest = fs::read(path).map_err(|error| Failure::io("read", path, &error))?;
    Ok((bench, product, guest))
}

/// How many of the acts ended as they must.
fn run(bench: &Bench, product: &Product, guest: &[u8], acts: &[&Act]) -> usize {
    let (next, passed) = (AtomicUsize::new(0), AtomicUsize::new(0));
    let work = || {
        while let Some(act) = acts.get(next.fetch_add(1, Ordering::Relaxed)) {
            match broken::boot(bench, &product.inputs, guest, act) {
                Ok(()) => {
                    passed.fetch_add(1, Ordering::Relaxed);
                    println!("test {} ... ok", broken::name(act));
                }
                Err(error) => println!("test {} ... FAILED: {error}", broken::name(act)),
            }
        }
    };
    thread::scope(|scope| (0..JOBS).for_each(|_| drop(scope.spawn(work))));
    passed.into_inner()
}

fn finish(passed: usize, failed: usize, start: Instant) -> ExitCode {
    let word = if failed == 0 { "ok" } else { "FAILED" };
    println!(
        "\ntest result: {word}. {passed} passed; {failed} failed; 0 ignored; 0 measured; \
         0 filtered out; finished in {:.2}s\n",
        start.elapsed().as_secs_f64()
    );
    if failed == 0 {
        ExitCode::SUCCESS
    } else {
        ExitCode::FAILURE
    }
}
