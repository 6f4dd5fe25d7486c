//! Debian's stock Linux on the test host, as a test program: every mode with one processor always, all the rest with
//! `--full`. Skipped, and counted as such, where Debian's packages cannot be had.

mod evidence;

use std::{fs, path::Path, process::ExitCode, time::Instant};
use tessera_defs::mode::Mode;
use tessera_image_builder::setup::Host;
use tessera_matrix::stock::{BOOTS, Bench, Boot, Booted, REPORT_DATA};

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
    let mut series: Vec<_> = boots.iter().map(|boot| boot.series).collect();
    series.sort_unstable_by_key(|series| series.version);
    series.dedup();
    match Bench::prepare(&Host::current(), &series) {
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
    let booted = bench.run(boot);
    let result = booted.and_then(|booted| match judged(bench, boot, &booted) {
        Ok(evidence) => Ok((evidence, booted)),
        Err(words) => Err(format!("{words}\n{}", booted.tail())),
    });
    match &result {
        Ok((evidence, booted)) => {
            println!("test {} ... ok ({}{evidence})", boot.name(), booted.words);
        }
        Err(words) => println!("test {} ... FAILED\n{words}", boot.name()),
    }
    result.is_ok()
}

/// Verifies the evidence that the guest read, where its mode has any. Words for people.
fn judged(bench: &Bench, boot: &Boot, booted: &Booted) -> Result<&'static str, String> {
    // Kept for whoever wants to look at it with other tools (`tests/vectors`).
    let keep = |name: &str, bytes: &[u8]| {
        let file = format!("{} {name}.bin", boot.name()).replace(' ', "-");
        let path = Path::new(env!("CARGO_TARGET_TMPDIR")).join(file);
        fs::write(path, bytes).map_err(|error| error.to_string())
    };
    let said = |name: &str| -> Result<Vec<u8>, String> {
        let text = booted
            .said(name)
            .ok_or_else(|| format!("it gave no {name}"))?;
        let bytes = evidence::base64(text);
        keep(name, &bytes)?;
        Ok(bytes)
    };
    if !boot.gives_evidence() {
        return Ok("");
    }
    let (provider, (data, measured), words) = match boot.mode {
        Mode::Snp => {
            let found = evidence::snp(&said("report")?, &said("certificates")?)?;
            ("sev_guest", found, ", its report is verified")
        }
        Mode::Tdx => {
            let found = evidence::tdx(&said("report")?)?;
            ("tdx_guest", found, ", its quote is verified")
        }
        _ => return Ok(""),
    };
    if booted.said("provider") != Some(provider) {
        return Err(format!("the report's provider is not {provider}"));
    }
    if data != *REPORT_DATA {
        return Err("the evidence has other report data than was asked for".into());
    }
    match bench.predicted(boot) {
        Some(digest) if evidence::hex(digest) == measured => Ok(words),
        _ => Err("the evidence has another measurement than was predicted".into()),
    }
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
