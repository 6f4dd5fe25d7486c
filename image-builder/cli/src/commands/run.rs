//! `tessera run`: one boot, its console on the terminal.

use super::{prepare, say};
use crate::args::Run;
use std::{
    fs,
    io::{ErrorKind, Read, Seek, SeekFrom, Write},
    path::Path,
    process::Stdio,
    sync::atomic::{AtomicBool, Ordering},
    thread,
    time::Duration,
};
use tessera_defs::mode::Mode;
use tessera_handoff::command_line::Level;
use tessera_image_builder::{Failure, Party, Result, build, setup::Host};
use tessera_matrix::{
    bench::Bench,
    console::Console,
    direct, hosted,
    outcome::{self, Exit, Observed},
    qemu::{Line, Typed},
    report::Report,
    scenario::{Boot, Scenario, Selection, Tier},
};

/// How long a person with a debugger or at the monitor may take.
const UNHURRIED: Duration = Duration::from_secs(24 * 3600);
/// What a person types is not known before; something is.
const TERMINAL: &str = "\n";
/// The host waits for a person as long as it takes.
const UNLIMITED: &str = "max_exits=18446744073709551615 max_instructions=18446744073709551615";
/// QEMU's own messages, in the folder of the boot.
const MESSAGES: &str = "qemu.txt";

/// Boots once. Fails if the boot does not end as the scenario says.
pub fn run(host: &Host, options: &Run) -> Result<()> {
    let boot = chosen(options)?;
    let bench = prepare::bench(host, options.offline)?;
    let folder = tempfile::tempdir().map_err(|error| {
        Failure::machine(format!("no temporary folder: {error}"), "check TMPDIR")
    })?;
    let line = line(&bench, &boot, options, folder.path())?;
    let limit = if options.gdb.is_some() || options.monitor {
        UNHURRIED
    } else {
        bench.limit
    };
    let exit = watch(&line, folder.path(), limit)?;
    if options.trace.is_some() {
        say(&text(folder.path(), hosted::REPORT))?;
    }
    judge(&bench, &boot, exit, folder.path())
}

/// The one boot that the options name.
fn chosen(options: &Run) -> Result<Boot> {
    let mode = build::mode(&options.mode)?;
    if options.direct && mode != Mode::None {
        let cause = format!(
            "mode `{}` cannot be booted without the test host",
            mode.name()
        );
        return Err(Failure::user(cause, "drop --direct, or use --mode none"));
    }
    let name = if options.direct {
        "friendly-direct"
    } else {
        &options.scenario
    };
    let selection = Selection {
        modes: vec![mode],
        scenarios: vec![name.to_owned()],
        tier: Tier::Full,
    };
    let remedy = "`tessera matrix --full --list` names all boots";
    let boots = selection
        .boots()
        .map_err(|words| Failure::user(words, remedy))?;
    let boot = boots.first();
    let boot = boot.ok_or_else(|| Failure::user("there is no such boot", remedy))?;
    Ok(Boot {
        scenario: changed(boot.scenario, options),
        ..*boot
    })
}

/// The scenario with other processors and another log level where the options say so. It lives
/// as long as the program, as those of the table do.
fn changed(scenario: &'static Scenario, options: &Run) -> &'static Scenario {
    let level = |name: &&str| options.log.as_deref() == Some(*name);
    let log = Level::ALL.map(Level::name).into_iter().find(level);
    let (typed, words) = match options.monitor {
        true => (TERMINAL, UNLIMITED),
        false => (scenario.typed, scenario.words),
    };
    Box::leak(Box::new(Scenario {
        typed,
        words,
        processors: options.smp.unwrap_or(scenario.processors),
        log: log.unwrap_or(scenario.log),
        ..*scenario
    }))
}

fn line(bench: &Bench, boot: &Boot, options: &Run, folder: &Path) -> Result<Line> {
    let image = bench.image(boot.scenario.variant)?;
    let mut line = match boot.scenario.direct {
        true => direct::line(bench, image, boot.scenario, folder),
        false => hosted::line(bench, image, boot, folder, options.trace.is_some()),
    };
    if options.monitor {
        line.typed = Typed::Terminal;
    }
    if let Some(port) = options.gdb {
        let words = [
            "-gdb".to_owned(),
            format!("tcp:127.0.0.1:{port}"),
            "-S".to_owned(),
        ];
        line.args.extend(words.map(Into::into));
        eprintln!("waiting for `target remote :{port}`");
    }
    Ok(line)
}

/// Runs QEMU and copies the console to standard output while it grows. A Ctrl-C reaches QEMU
/// too, since it is in the same process group.
fn watch(line: &Line, folder: &Path, limit: Duration) -> Result<Exit> {
    watch_on(None, line, folder, limit)
}

/// The same with a standard input for the console.
pub(super) fn watch_on(
    input: Option<Stdio>,
    line: &Line,
    folder: &Path,
    limit: Duration,
) -> Result<Exit> {
    let over = AtomicBool::new(false);
    let exit = thread::scope(|scope| {
        scope.spawn(|| follow(&folder.join(hosted::CONSOLE), &over));
        let exit = line.run_on(input, &folder.join(MESSAGES), limit);
        over.store(true, Ordering::Release);
        exit
    });
    eprint!("{}", text(folder, MESSAGES));
    exit.map_err(|error| match error.kind() {
        ErrorKind::Interrupted => prepare::stopped(),
        _ => Failure::io("run", &line.program, &error),
    })
}

fn follow(path: &Path, over: &AtomicBool) {
    let mut seen = 0;
    loop {
        let last = over.load(Ordering::Acquire);
        let mut fresh = Vec::new();
        if let Ok(mut file) = fs::File::open(path)
            && file.seek(SeekFrom::Start(seen)).is_ok()
        {
            seen += file.read_to_end(&mut fresh).unwrap_or(0) as u64;
        }
        let mut out = std::io::stdout().lock();
        out.write_all(&fresh).and_then(|()| out.flush()).ok();
        if last {
            return;
        }
        thread::sleep(Duration::from_millis(20));
    }
}

fn judge(bench: &Bench, boot: &Boot, exit: Exit, folder: &Path) -> Result<()> {
    let report = text(folder, hosted::REPORT);
    let outcome = outcome::judge(&Observed {
        mode: boot.mode,
        exit,
        console: Console::parse(&text(folder, hosted::CONSOLE)),
        report: (!boot.scenario.direct).then(|| Report::parse(&report)),
        predicted: hosted::predicted(bench.image(boot.scenario.variant)?, boot),
    });
    let reason = outcome
        .reason()
        .map(|words| format!(": {words}"))
        .unwrap_or_default();
    let ended = format!("the boot ended as `{}`{reason}", outcome.name());
    if outcome.meets(boot.expected) {
        eprintln!("{ended}, as it must");
        return Ok(());
    }
    let cause = format!("{ended}; expected `{}`", boot.expected.name());
    Err(Failure::new(
        Party::Image,
        cause,
        "`tessera matrix` keeps the files of failed boots",
    ))
}

pub(super) fn text(folder: &Path, name: &str) -> String {
    String::from_utf8_lossy(&fs::read(folder.join(name)).unwrap_or_default()).into_owned()
}
