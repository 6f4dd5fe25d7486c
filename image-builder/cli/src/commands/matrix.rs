//! `tessera matrix`.

use super::{prepare, say, stock};
use crate::args::Matrix;
use std::{fs, path::Path};
use tessera_image_builder::{Failure, Party, Result, build, progress::Step, setup::Host};
use tessera_matrix::{
    bench::Bench,
    interrupt, json, junit,
    row::Row,
    run,
    scenario::{Boot, Selection, Tier},
    table,
};

/// Boots what is chosen and prints the rows; with `--full` alone stock Linux, too. Fails if one did not end as it must.
pub fn run(host: &Host, options: &Matrix) -> Result<()> {
    let boots = selection(options)?
        .boots()
        .map_err(|words| Failure::user(words, "`tessera matrix --list` names them all"))?;
    // A choice of rows is one of ours.
    let all = options.full && options.mode.is_empty() && options.scenario.is_empty();
    if options.list {
        say(&list(&boots))?;
        return if all { say(&stock::list()) } else { Ok(()) };
    }
    options.junit.as_deref().map_or(Ok(()), writable)?;
    let bench = prepare::bench(host, options.offline)?;
    let rows = boot(&bench, &boots, options)?;
    if let Some(path) = &options.junit {
        let write = fs::write(path, junit::document(&rows));
        write.map_err(|error| Failure::io("write", path, &error))?;
    }
    let linux = match all {
        true => stock::run(host, options.offline, options.json),
        false => Ok(()),
    };
    verdict(&rows).and(linux)
}

fn selection(options: &Matrix) -> Result<Selection> {
    let modes = options.mode.iter().map(|name| build::mode(name));
    Ok(Selection {
        modes: modes.collect::<Result<_>>()?,
        scenarios: options.scenario.clone(),
        tier: if options.full {
            Tier::Full
        } else {
            Tier::Quick
        },
    })
}

fn list(boots: &[Boot]) -> String {
    let line = |boot: &Boot| {
        let (mode, scenario) = (boot.mode.name(), boot.scenario);
        let (name, expected) = (scenario.name, boot.expected.name());
        format!("{mode:<15} {name:<24} {expected:<36} {}\n", scenario.what)
    };
    boots.iter().map(line).collect()
}

/// Finds out before the boots whether the results could be written after them.
fn writable(path: &Path) -> Result<()> {
    let folder = path
        .parent()
        .filter(|folder| !folder.as_os_str().is_empty());
    if path.is_dir() || folder.is_some_and(|folder| !folder.is_dir()) {
        let cause = format!("cannot write {}: there is no such folder", path.display());
        return Err(Failure::user(cause, "name a file in a folder that exists"));
    }
    Ok(())
}

fn boot(bench: &Bench, boots: &[Boot], options: &Matrix) -> Result<Vec<Row>> {
    let jobs = options.jobs.unwrap_or_else(run::default_jobs);
    let mut step = Step::start(format!("booting {} times", boots.len()));
    let rows = run::matrix(bench, boots, jobs, |row| {
        let mark = if row.passed() { "" } else { " FAILED" };
        step.advance(&format!("{}{mark}", row.boot.name()));
    });
    if interrupt::asked() {
        return Err(prepare::stopped());
    }
    step.done();
    // Printed last, in order and whole: only now are the checks across modes made.
    let mut text = String::new();
    if !options.json {
        text += &format!("{}\n", table::heading());
    }
    for row in &rows {
        let line = if options.json {
            json::line(row)
        } else {
            table::line(row)
        };
        text += &format!("{line}\n");
    }
    say(&text)?;
    for row in rows.iter().filter(|row| !row.passed()) {
        eprint!("\n{}\n{}", row.boot.name(), table::explanation(row));
    }
    if !options.json {
        say(&format!("{}\n{}\n", table::summary(&rows), bench.sizes))?;
        say("Simulated: this shows protocol, not encryption; no mode was run on real hardware.\n")?;
    }
    Ok(rows)
}

fn verdict(rows: &[Row]) -> Result<()> {
    let failed = rows.iter().filter(|row| !row.passed()).count();
    if failed == 0 {
        return Ok(());
    }
    let cause = format!("{failed} of {} boots did not end as they must", rows.len());
    Err(Failure::new(
        Party::Image,
        cause,
        "see the rows marked FAILED and their files",
    ))
}
