//! The quick tier as a test program: builds the image without ever asking, boots, and ends with
//! the line that `cargo test` programs end with.

use std::{process::ExitCode, time::Instant};
use tessera_image_builder::{
    Failure, Result,
    build::{PolicyName, Recipe, Workspace, whole},
    setup::{self, Host, Qemu},
};
use tessera_matrix::{
    bench::Bench,
    row::Row,
    run,
    scenario::{Boot, Selection, Tier},
    table,
};

fn main() -> ExitCode {
    let words: Vec<String> = std::env::args().skip(1).collect();
    let selection = Selection {
        modes: Vec::new(),
        scenarios: Vec::new(),
        tier: Tier::Quick,
    };
    let boots = match selection.boots() {
        Ok(boots) => chosen(boots, &words),
        Err(error) => return complain(&Failure::image(error, "see tests/matrix/src/scenario.rs")),
    };
    if words.iter().any(|word| word == "--list") {
        boots
            .iter()
            .for_each(|boot| println!("{}: test", boot.name()));
        return ExitCode::SUCCESS;
    }
    match bench(&boots) {
        Ok(bench) => boot(&bench, &boots),
        Err(failure) => complain(&failure),
    }
}

/// The boots whose names contain one of the filters that stand among cargo's words.
fn chosen(boots: Vec<Boot>, words: &[String]) -> Vec<Boot> {
    let filters: Vec<_> = words.iter().filter(|word| !word.starts_with('-')).collect();
    let wanted = |boot: &Boot| {
        filters.is_empty()
            || filters
                .iter()
                .any(|filter| boot.name().contains(filter.as_str()))
    };
    boots.into_iter().filter(wanted).collect()
}

/// Builds what the boots need; nothing where there are none.
fn bench(boots: &[Boot]) -> Result<Option<Bench>> {
    if boots.is_empty() {
        return Ok(None);
    }
    let host = Host::current();
    let qemu = Qemu::detect(&host).require()?;
    let toolchain = setup::toolchain(&host)?;
    let workspace = Workspace::find(&host)?;
    let recipe = Recipe::of(PolicyName::Demo);
    // Cargo fetched the same lock file to build this test.
    let product = whole(&toolchain, &workspace, &recipe, false)?;
    Bench::prepare(qemu, &workspace, &product).map(Some)
}

fn boot(bench: &Option<Bench>, boots: &[Boot]) -> ExitCode {
    println!("\nrunning {} tests", boots.len());
    let start = Instant::now();
    let rows = bench.as_ref().map_or_else(Vec::new, |bench| {
        println!("{}", table::heading());
        run::matrix(bench, boots, run::default_jobs(), |row| {
            println!("{}", table::line(row))
        })
    });
    rows.iter().for_each(print_failure);
    finish(&rows, start)
}

fn print_failure(row: &Row) {
    if !row.passed() {
        print!("\n{}\n{}", row.boot.name(), table::explanation(row));
    }
}

fn finish(rows: &[Row], start: Instant) -> ExitCode {
    let passed = rows.iter().filter(|row| row.passed()).count();
    let failed = rows.len() - passed;
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

fn complain(failure: &Failure) -> ExitCode {
    println!("\nthe matrix cannot run: {failure}");
    println!("\ntest result: FAILED. 0 passed; 1 failed; 0 ignored; 0 measured; 0 filtered out\n");
    ExitCode::FAILURE
}
