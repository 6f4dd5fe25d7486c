//! Boots, several at a time, each to a row.

use crate::{
    bench::{Bench, Prepared},
    binding, checks,
    console::Console,
    direct, failed, hosted, interrupt,
    outcome::{self, Exit, Observed, Outcome},
    qemu::Line,
    report::Report,
    row::Row,
    scenario::Boot,
    symbols,
};
use sha2::{Digest, Sha256};
use std::{
    fs,
    num::NonZero,
    path::Path,
    sync::{
        atomic::{AtomicUsize, Ordering},
        mpsc,
    },
    thread,
    time::Instant,
};

/// As many boots at a time as there are processors.
pub fn default_jobs() -> NonZero<usize> {
    thread::available_parallelism().unwrap_or(NonZero::<usize>::MIN)
}

/// Makes every boot, `jobs` at a time. `each` sees a row when its boot is over, in any order;
/// a signal to stop leaves the rest out. The result is in the order of `boots`, with the checks across modes made and the files of
/// failed rows kept in `bench.failed`.
pub fn matrix(
    bench: &Bench,
    boots: &[Boot],
    jobs: NonZero<usize>,
    mut each: impl FnMut(&Row),
) -> Vec<Row> {
    let next = AtomicUsize::new(0);
    let (sender, receiver) = mpsc::channel();
    let mut rows = Vec::with_capacity(boots.len());
    thread::scope(|scope| {
        for _ in 0..jobs.get().min(boots.len()) {
            let (sender, next) = (sender.clone(), &next);
            scope.spawn(move || {
                loop {
                    let at = next.fetch_add(1, Ordering::Relaxed);
                    let boot = boots.get(at).filter(|_| !interrupt::asked());
                    let Some(boot) = boot else { break };
                    if sender.send((at, one(bench, boot))).is_err() {
                        break;
                    }
                }
            });
        }
        drop(sender);
        for (at, row) in receiver {
            each(&row);
            rows.push((at, row));
        }
    });
    rows.sort_by_key(|(at, _)| *at);
    let mut rows: Vec<_> = rows.into_iter().map(|(_, row)| row).collect();
    checks::across(&mut rows);
    rows
}

/// One boot in a folder of its own. What cannot be started is a broken row, not an error: the
/// other rows are still worth having.
fn one(bench: &Bench, boot: &Boot) -> Row {
    let attempt = || {
        let image = bench
            .image(boot.scenario.variant)
            .map_err(|failure| failure.to_string())?;
        let folder = tempfile::Builder::new().prefix("tessera-boot-").tempdir();
        let folder = folder.map_err(|error| format!("no temporary folder: {error}"))?;
        let line = line(bench, image, boot, folder.path());
        let mut row = start(bench, image, boot, &line, folder.path())?;
        if !row.passed() {
            row.place = row.rip.and_then(|rip| symbols::find(&bench.programs, rip));
            row.kept = failed::keep(bench, image, &row, &line, folder.path())
                .map_err(|error| row.faults.push(format!("its files were not kept: {error}")))
                .ok();
        }
        Ok(row)
    };
    attempt().unwrap_or_else(|error: String| Row::new(*boot, Outcome::Broken(error)))
}

fn line(bench: &Bench, image: &Prepared, boot: &Boot, folder: &Path) -> Line {
    match boot.scenario.direct {
        true => direct::line(bench, image, boot.scenario, folder),
        false => hosted::line(bench, image, boot, folder, false),
    }
}

fn start(
    bench: &Bench,
    image: &Prepared,
    boot: &Boot,
    line: &Line,
    folder: &Path,
) -> Result<Row, String> {
    let unreadable = |error| format!("cannot read {}: {error}", image.igvm.display());
    let file = fs::read(&image.igvm).map_err(unreadable)?;
    let begin = Instant::now();
    let exit = line
        .run(&folder.join(failed::MESSAGES), bench.limit)
        .map_err(|error| format!("cannot run {}: {error}", line.program.display()))?;
    let wall_ms = begin.elapsed().as_millis() as u64;
    let mut row = observe(image, boot, exit, folder);
    row.wall_ms = wall_ms;
    row.file_sha256 = Sha256::digest(file)
        .iter()
        .map(|byte| format!("{byte:02x}"))
        .collect();
    Ok(row)
}

/// Reads what a boot left, and judges it.
fn observe(image: &Prepared, boot: &Boot, exit: Exit, folder: &Path) -> Row {
    // A file that is not there says as much as an empty one; guests may print any byte.
    let text = |name: &str| {
        let bytes = fs::read(folder.join(name)).unwrap_or_default();
        String::from_utf8_lossy(&bytes).into_owned()
    };
    let console = Console::parse(&text(hosted::CONSOLE));
    let report = (!boot.scenario.direct).then(|| Report::parse(&text(hosted::REPORT)));
    let predicted = hosted::predicted(image, boot);
    let seen = Observed {
        mode: boot.mode,
        exit,
        console,
        report,
        predicted,
    };
    let mut row = Row::new(*boot, outcome::judge(&seen));
    let report = seen.report.and_then(Result::ok);
    let bound = report.as_ref().map(|report| binding::faults(&row, report));
    fill(&mut row, report);
    row.predicted_digest = seen.predicted;
    row.strategies = seen.console.strategies.clone();
    row.faults = checks::row(&row, image, &seen.console);
    row.faults.extend(bound.into_iter().flatten());
    row
}

fn fill(row: &mut Row, report: Option<Report>) {
    let Some(report) = report else { return };
    if let Some(loaded) = report.loaded {
        row.loaded = loaded.hashes;
        row.launch_digest = loaded.launch_digest;
    }
    if let Some(ended) = report.ended {
        row.operations = ended.operations;
        row.exits = ended.exits;
        row.pages_accepted = ended.pages_accepted;
        row.pages_shared = ended.pages_shared;
        row.instructions = ended.instructions;
        row.lie_told = ended.lie_told;
        row.lie_stopped = ended.lie_stopped;
        row.rip = Some(ended.rip);
    }
}
