//! Checks beyond the outcome: of one row, and across all rows.

use crate::{
    bench::Prepared,
    console::Console,
    operations,
    outcome::Outcome,
    row::Row,
    scenario::{Scenario, Variant},
};

use tessera_defs::mode::{HostProfile, Mode};
use tessera_handoff::command_line::Level;

/// Lies that change loaded bytes; everywhere else they must be the builder's.
const ALTERING: [&str; 1] = ["byte-changed"];
/// Processors that the kernel uses at most.
const MOST: u32 = 8;
/// The strategy of a mode that starts no other processor.
const ONE: &str = "boot-processor";
/// The lie that leaves the guest no table of processors.
const ACPI_GARBAGE: &str = "acpi-garbage";
/// The lie that a paravisor keeps from its guest.
const PROXY_ANY: &str = "proxy-any";
/// Ends of services in `Variant::Havoc`.
const HAVOC: u64 = crate::bench::HAVOC as u64;
const PROCESSOR_WITHHELD: &str = "processor-withheld";
/// Pages beside the image that a boot to ring 3 and its end may accept: 4 MiB.
const ACCEPTED: u64 = 1024;
/// What the processors of the matrix have, so that the kernel must have it on.
const PROTECTIONS: [&str; 3] = ["smep", "smap", "umip"];
/// Ranges that must be the same in every mode.
const SAME: [&str; 2] = ["kernel", "stub"];

/// What an honest Hyper-V-like host must have been asked for, beside what the strategies need.
const ASKED: [(Mode, &str); 7] = [
    (Mode::None, "mmio"),
    (Mode::Snp, "mmio"),
    (Mode::Snp, "hypercall"),
    (Mode::Tdx, "mmio"),
    (Mode::Tdx, "hypercall"),
    (Mode::SnpParavisor, "mmio"),
    (Mode::TdxParavisor, "mmio"),
];

/// What is wrong with one row, a sentence each.
pub fn row(row: &Row, image: &Prepared, console: &Console) -> Vec<String> {
    let profile = console.profile.as_deref();
    let orderly = matches!(row.outcome, Outcome::Runs | Outcome::Unmeasured);
    let mut faults = operations::faults(row.boot.mode, &row.strategies, &row.operations, orderly);
    faults.extend(unasked(row));
    // Our paravisor shows its guest Hyper-V's interface, whatever the host looks like.
    let below = matches!(row.boot.mode, Mode::SnpParavisor | Mode::TdxParavisor);
    let host = row.boot.scenario.profile;
    let offered = if below { HostProfile::HyperV } else { host }.name();
    if orderly && profile != Some(offered) {
        faults.push(format!(
            "the host looked like {offered}, the kernel says {profile:?}"
        ));
    }
    let all = row.boot.scenario.words == crate::scenario::LATE;
    if orderly && !all && row.pages_accepted > ACCEPTED {
        faults.push(format!(
            "{} pages were accepted, more than {ACCEPTED}",
            row.pages_accepted
        ));
    }
    if orderly && row.strategies.last().map(String::as_str) != Some(clock(row)) {
        let (wanted, said) = (clock(row), &row.strategies);
        faults.push(format!(
            "the clock is to be {wanted}, the kernel has {said:?}"
        ));
    }
    let word = word(row);
    if orderly && console.clock.as_deref() != Some(word) {
        faults.push(format!(
            "the clock is the {word}'s word, processes are told {:?}",
            console.clock
        ));
    }
    if orderly && console.protections != PROTECTIONS {
        faults.push(format!(
            "the processor has {PROTECTIONS:?}, the kernel has on {:?}",
            console.protections
        ));
    }
    match console.weight {
        Some(weight) if orderly => faults.extend(weight.faults()),
        None if orderly => faults.push("nobody said what kernel and processes cost".into()),
        _ => {}
    }
    // Below a paravisor nobody asks the host's tables.
    let claimed = row.boot.scenario.lie != ACPI_GARBAGE || below;
    if orderly && claimed && !console.lines {
        faults.push("the host has an IOAPIC, and no driver got its interrupts".into());
    }
    // Without Hyper-V's interface a host has no way for them to a paravisor's guest.
    let way = !below || host == HostProfile::HyperV;
    if orderly && way && !row.boot.scenario.direct && !console.messages {
        faults.push("the host sends interrupt messages, and no driver got one".into());
    }
    if orderly && !row.boot.scenario.direct && !console.seen {
        faults.push("the host looks at pages, and no process shared one with it".into());
    }
    // A paravisor stands before its guest's interrupts.
    let honest = ["none", PROXY_ANY].contains(&row.boot.scenario.lie);
    if orderly && console.unasked != 0 && honest {
        let unasked = console.unasked;
        faults.push(format!("{unasked} interrupts came that nobody asked for"));
    }
    let starts = console.starts.unwrap_or_default();
    if orderly && row.boot.scenario.variant == Variant::Havoc && starts <= HAVOC {
        faults.push(format!(
            "{HAVOC} services were to be ended, and there were {starts} starts"
        ));
    }
    if orderly && !console.panic_told {
        faults.push("a service panicked, and its supervisor did not hear of it".into());
    }
    if orderly && !row.boot.scenario.typed.is_empty() {
        faults.extend(unanswered(&console.monitor));
    }
    if orderly {
        faults.extend(command_line(row.boot.scenario, console));
    }
    if row.boot.scenario.direct || matches!(row.outcome, Outcome::Broken(_)) {
        return faults;
    }
    faults.extend(untold(row));
    let altered = ALTERING.contains(&row.boot.scenario.lie);
    let differ = |name: &&&str| row.loaded.get(**name) != image.loaded.get(**name);
    let different: Vec<_> = SAME.iter().filter(differ).collect();
    for name in different.iter().filter(|_| !altered) {
        faults.push(format!(
            "the {name} in memory is not the one of the manifest"
        ));
    }
    if altered && different.is_empty() {
        faults.push("the host was to change a byte of kernel or stub, and did not".into());
    }
    faults
}

/// The best clock that a mode has on a host: what the hardware vouches for, what the host tells the rate of, what
/// comes by itself.
fn clock(row: &Row) -> &'static str {
    match (row.boot.mode, row.boot.scenario.profile) {
        (Mode::Tdx | Mode::TdxParavisor, _) => "time-stamp",
        (_, HostProfile::HyperV) => "told-time-stamp",
        _ => "apic-timer",
    }
}

/// Whose word that clock is.
fn word(row: &Row) -> &'static str {
    match clock(row) {
        "time-stamp" => "hardware",
        _ => "host",
    }
}

/// How the monitor's answers to `scenario::TYPED` begin, in order.
const ANSWERS: [&str; 17] = [
    "type `help`",
    "help: ps: ",
    "help: quit: ",
    "ps: 0 init: 1 threads, ",
    " ledger: 1 threads, ",
    " monitor: 1 threads, ",
    " chaos: 1 threads, ",
    "mem: ",
    " unaccepted",
    "irq: ",
    "log: tessera: ",
    "services: ledger: runs, ",
    "services: client-a: ",
    "services: monitor: runs, ",
    "services: chaos: ",
    "no command `nonsense`",
    "quit: ",
];

/// The first answer that the monitor did not give where it should have.
fn unanswered(lines: &[String]) -> Option<String> {
    let mut lines = lines.iter().peekable();
    let missing = ANSWERS.iter().find(|answer| {
        // Several may be in one line.
        while lines.next_if(|line| !line.contains(**answer)).is_some() {}
        lines.peek().is_none()
    });
    missing.map(|answer| format!("the monitor never answered `{answer}`"))
}

/// Paths that a friendly boot must have used.
fn unasked(row: &Row) -> Vec<String> {
    let friendly = row.boot.scenario.name == "friendly" && row.outcome == Outcome::Runs;
    let missing = |(mode, what): &&(Mode, &str)| {
        friendly && *mode == row.boot.mode && !row.operations.iter().any(|op| op == what)
    };
    let sentence = |(_, what): &(Mode, &str)| format!("the host was never asked for `{what}`");
    ASKED.iter().filter(missing).map(sentence).collect()
}

/// A lie that was not told proves nothing; one that silicon stops must at least be tried.
fn untold(row: &Row) -> Option<String> {
    let scenario = row.boot.scenario;
    match (
        scenario.lie,
        scenario.stopped,
        row.lie_told,
        row.lie_stopped,
    ) {
        ("none", _, 0, 0) | (_, true, 0, 1..) => None,
        ("none", ..) => Some("an honest host counted a lie".into()),
        (lie, true, told, tried) => Some(format!(
            "silicon was to stop `{lie}`: it was told {told} times and stopped {tried} times"
        )),
        (_, false, 1.., 0) => None,
        (lie, false, told, stopped) => Some(format!(
            "the host was to lie (`{lie}`): it did {told} times, and silicon stopped it {stopped} times"
        )),
    }
}

/// The kernel prints as much as the host's command line asks for, and the number of processors
/// that the host has.
fn command_line(scenario: &Scenario, console: &Console) -> Vec<String> {
    let named = Level::ALL
        .into_iter()
        .find(|level| level.name() == scenario.log);
    let level = named.unwrap_or(Level::Info);
    let mut faults = Vec::new();
    for (what, least, seen) in [
        ("info", Level::Info, console.info),
        ("debug", Level::Debug, console.debug),
    ] {
        if (level >= least) != seen {
            let word = if seen { "a line" } else { "no line" };
            faults.push(format!(
                "the log level is {}, the kernel printed {word} of level {what}",
                level.name()
            ));
        }
    }
    let claimed = (scenario.lie != ACPI_GARBAGE).then_some(scenario.processors);
    if level >= Level::Info && console.processors != claimed {
        faults.push(format!(
            "the host has {claimed:?} processors, the kernel says {:?}",
            console.processors
        ));
    }
    let all = claimed.unwrap_or(1).min(MOST);
    let alone = console.strategies.iter().any(|name| name == ONE);
    let wanted = match alone || scenario.lie == PROCESSOR_WITHHELD {
        true => 1,
        false => all,
    };
    if level >= Level::Info && console.running != Some(wanted) {
        let run = console.running;
        faults.push(format!(
            "{wanted} processors were to run, the kernel says {run:?}"
        ));
    }
    faults
}

/// Marks every row whose file, kernel or stub differs from the first row's that has one.
pub fn across(rows: &mut [Row]) {
    let variants: Vec<_> = rows.iter().map(|row| row.boot.scenario.variant).collect();
    let file = |row: &Row| (!row.file_sha256.is_empty()).then(|| row.file_sha256.clone());
    for variant in crate::scenario::Variant::ALL {
        mark(rows, "file", |at, _| variants[at] == variant, file);
    }
    for name in SAME {
        let honest = |_, row: &Row| !ALTERING.contains(&row.boot.scenario.lie);
        mark(rows, name, honest, |row| row.loaded.get(name).cloned());
    }
}

fn mark(
    rows: &mut [Row],
    what: &str,
    counts: impl Fn(usize, &Row) -> bool,
    hash: impl Fn(&Row) -> Option<String>,
) {
    let mut first: Option<(String, String)> = None;
    for (at, row) in rows.iter_mut().enumerate() {
        let Some(hash) = hash(row).filter(|_| counts(at, row)) else {
            continue;
        };
        match &first {
            None => first = Some((hash, row.boot.name())),
            Some((wanted, of)) if hash != *wanted => {
                row.faults
                    .push(format!("its {what} is not the {what} of {of}"));
            }
            Some(_) => {}
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::weight::Weight;
    use crate::{
        outcome::Expected,
        scenario::{self, Boot},
    };
    use tessera_defs::mode::Mode;

    fn rows() -> Vec<Row> {
        let boots = scenario::ALL.iter().take(3).map(|scenario| Boot {
            mode: Mode::None,
            scenario,
            expected: Expected::Runs,
        });
        let fill = |boot| {
            let mut row = Row::new(boot, Outcome::Runs);
            row.file_sha256 = "f".into();
            row.loaded = SAME.map(|name| (name.into(), "h".into())).into();
            row.strategies = ["native", "told-time-stamp"].map(str::to_owned).into();
            row.operations = vec!["mmio".into()];
            row
        };
        boots.map(fill).collect()
    }

    #[test]
    fn equal_rows_pass_and_a_different_one_is_marked() {
        let mut same = rows();
        across(&mut same);
        assert!(same.iter().all(Row::passed));
        for change in [
            |row: &mut Row| row.file_sha256 = "g".into(),
            |row: &mut Row| _ = row.loaded.insert("kernel".into(), "i".into()),
            |row: &mut Row| _ = row.loaded.insert("stub".into(), "i".into()),
        ] {
            let mut rows = rows();
            change(&mut rows[1]);
            across(&mut rows);
            assert!(rows[0].passed() && !rows[1].passed() && rows[2].passed());
        }
    }

    #[test]
    fn answers_are_wanted_in_order() {
        let all: Vec<_> = ANSWERS.map(|answer| format!("x{answer}y")).into();
        assert_eq!(unanswered(&all), None);
        for (n, answer) in ANSWERS.iter().enumerate() {
            let mut some = all.clone();
            some.remove(n);
            assert!(unanswered(&some).is_some(), "{answer}");
        }
        assert!(unanswered(&[]).is_some());
    }

    #[test]
    fn a_row_is_checked_against_manifest_and_profile() {
        let good = rows().remove(0);
        let image = Prepared {
            loaded: good.loaded.clone(),
            ..Prepared::default()
        };
        let console = Console {
            profile: Some("hyperv".into()),
            clock: Some("host".into()),
            weight: Some(Weight::default()),
            protections: PROTECTIONS.map(str::to_owned).into(),
            processors: Some(1),
            running: Some(1),
            lines: true,
            messages: true,
            seen: true,
            panic_told: true,
            info: true,
            ..Console::default()
        };
        let faults = |row: &Row, console: &Console| super::row(row, &image, console).len();
        assert_eq!(faults(&good, &console), 0);
        let mut said = console.clone();
        said.profile = Some("kvm".into());
        assert_eq!(faults(&good, &said), 1);
        let mut greedy = good.clone();
        greedy.pages_accepted = ACCEPTED;
        assert_eq!(faults(&greedy, &console), 0);
        greedy.pages_accepted += 1;
        assert_eq!(faults(&greedy, &console), 1);
        let mut silent = good.clone();
        silent.operations.clear();
        assert_eq!(faults(&silent, &console), 1);
        let mut slow = good.clone();
        slow.strategies[1] = "apic-timer".into();
        assert_eq!(faults(&slow, &console), 1);
        let mut other = good.clone();
        other.loaded.insert("kernel".into(), "x".into());
        assert_eq!(faults(&other, &console), 1);
        other.loaded.clear();
        assert_eq!(faults(&other, &console), 2);
        for change in [
            |said: &mut Console| said.processors = Some(2),
            |said: &mut Console| said.processors = None,
            |said: &mut Console| said.running = Some(2),
            |said: &mut Console| said.running = None,
            |said: &mut Console| said.lines = false,
            |said: &mut Console| said.messages = false,
            |said: &mut Console| said.seen = false,
            |said: &mut Console| said.unasked = 1,
            |said: &mut Console| said.panic_told = false,
            |said: &mut Console| said.info = false,
            |said: &mut Console| said.debug = true,
            |said: &mut Console| _ = said.protections.pop(),
            |said: &mut Console| said.weight = None,
            |said: &mut Console| said.clock = None,
            |said: &mut Console| said.clock = Some("hardware".into()),
        ] {
            let mut said = console.clone();
            change(&mut said);
            assert_eq!(faults(&good, &said), 1);
        }
    }

    #[test]
    fn a_lie_must_be_told_and_where_silicon_stops_it_tried() {
        let of = |name: &str, told, stopped| {
            let boot = Boot {
                mode: Mode::Snp,
                scenario: scenario::ALL.iter().find(|s| s.name == name).unwrap(),
                expected: Expected::Runs,
            };
            let mut row = Row::new(boot, Outcome::Runs);
            (row.lie_told, row.lie_stopped) = (told, stopped);
            untold(&row).is_none()
        };
        assert!(of("acpi-garbage", 1, 0) && !of("acpi-garbage", 0, 0));
        assert!(of("friendly", 0, 0) && !of("friendly", 1, 0));
        assert!(of("inject-any", 0, 7) && !of("inject-any", 0, 0) && !of("inject-any", 1, 7));
        assert!(!of("acpi-garbage", 0, 3));
    }
}
