//! Debian's stock Linux on the test host, as a test program: `none` and `snp-paravisor` always, every mode with
//! `--full`. Skipped, and counted as such, where Debian's packages cannot be had.

use std::{process::ExitCode, time::Instant};
use tessera_image_builder::setup::Host;
use tessera_matrix::stock::{BOOTS, Bench, Boot};

fn main() -> ExitCode {
    let words: Vec<String> = std::env::args().skip(1).collect();
    let boots = chosen(&words);
    if words.iter().any(|word| word == "--list") {
        boots
            .iter()
            .for_each(|boot| println!("{}: test", boot.name()));
        return ExitCode::SUCCESS;
    }
    let start = Instant::now();
    println!("\nrunning {} tests", boots.len());
    if boots.is_empty() {
        return finish(0, 0, 0, start);
    }
    match Bench::prepare(&Host::current()) {
        Ok(Ok(bench)) => {
            let passed = boots.iter().filter(|boot| run(&bench, boot)).count();
            finish(passed, boots.len() - passed, 0, start)
        }
        Ok(Err(failure)) => {
            println!("\nSKIPPED, all of stock Linux: {failure}");
            finish(0, 0, boots.len(), start)
        }
        Err(failure) => {
            println!("\nstock Linux cannot run: {failure}");
            finish(0, boots.len(), 0, start)
        }
    }
}

/// The boots whose names contain one of the filters that stand among cargo's words.
fn chosen(words: &[String]) -> Vec<&'static Boot> {
    let full = words.iter().any(|word| word == "--full");
    let filters: Vec<_> = words.iter().filter(|word| !word.starts_with('-')).collect();
    let wanted = |boot: &&Boot| {
        let name = boot.name();
        (full || boot.quick)
            && (filters.is_empty() || filters.iter().any(|filter| name.contains(filter.as_str())))
    };
    BOOTS.iter().filter(wanted).collect()
}

fn run(bench: &Bench, boot: &Boot) -> bool {
    let result = bench.run(boot);
    match &result {
        Ok(words) => println!("test {} ... ok ({words})", boot.name()),
        Err(words) => println!("test {} ... FAILED\n{words}", boot.name()),
    }
    result.is_ok()
}

fn finish(passed: usize, failed: usize, skipped: usize, start: Instant) -> ExitCode {
    let word = if failed == 0 { "ok" } else { "FAILED" };
    println!(
        "\ntest result: {word}. {passed} passed; {failed} failed; {skipped} ignored; 0 measured; \
         0 filtered out; finished in {:.2}s\n",
        start.elapsed().as_secs_f64()
    );
    if failed == 0 {
        ExitCode::SUCCESS
    } else {
        ExitCode::FAILURE
    }
}
