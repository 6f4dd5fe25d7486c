use super::*;

const CONSOLE: &str = "tessera: mode=MODE profile=hyperv strategies=x\n\
                       init: mode=MODE pages accepted=0 shared=0 ticks=3\ntessera: shutdown\n";

fn console(mode: Mode) -> String {
    CONSOLE.replace("MODE", mode.name())
}

fn ended(end: &str, reason: Option<&str>, set: u8, code: u64) -> Ended {
    let reason = reason.map(str::to_owned);
    Ended {
        end: end.into(),
        reason,
        set: set.into(),
        code,
        ..Ended::default()
    }
}

fn seen(mode: Mode, console: &str, end: Ended) -> Observed {
    let digest = (mode != Mode::None).then(|| "d1".to_owned());
    let loaded = crate::report::Loaded {
        launch_digest: digest.clone(),
        ..Default::default()
    };
    let report = Report {
        loaded: Some(loaded),
        ended: Some(end),
        host_error: None,
    };
    Observed {
        mode,
        exit: Exit::Status(1),
        console: Console::parse(console),
        report: Some(Ok(report)),
        predicted: digest,
    }
}

fn shutdown(mode: Mode, text: &str) -> Observed {
    seen(mode, text, ended("shutdown", None, 0, 0))
}

#[test]
fn an_orderly_boot_runs() {
    for mode in Mode::ALL {
        let outcome = judge(&shutdown(mode, &console(mode)));
        assert_eq!(outcome, Outcome::Runs);
        assert!(outcome.meets(Expected::Runs) && !outcome.meets(Expected::Unmeasured));
    }
}

#[test]
fn off_without_last_words_is_no_run() {
    let whole = console(Mode::Snp);
    let lines: Vec<_> = whole.lines().collect();
    for missing in 0..lines.len() {
        let mut fewer = lines.clone();
        fewer.remove(missing);
        let outcome = judge(&shutdown(Mode::Snp, &(fewer.join("\n") + "\n")));
        assert_eq!(outcome.name(), "panic", "without line {missing}");
    }
    let failed = format!("init: check failed: x\n{whole}");
    assert_eq!(judge(&shutdown(Mode::Snp, &failed)).name(), "panic");
    let panicked = format!("tessera: panicked at a.rs:1:1\n{whole}");
    assert_eq!(judge(&shutdown(Mode::Snp, &panicked)).name(), "panic");
}

#[test]
fn another_mode_is_a_wrong_mode() {
    let outcome = judge(&shutdown(Mode::Snp, &console(Mode::None)));
    assert_eq!(outcome.name(), "wrong-mode");
    let init = console(Mode::Snp).replace("init: mode=snp", "init: mode=tdx");
    assert_eq!(judge(&shutdown(Mode::Snp, &init)).name(), "wrong-mode");
}

#[test]
fn another_digest_is_unmeasured_and_a_missing_one_is_a_fault() {
    let mut boot = shutdown(Mode::Tdx, &console(Mode::Tdx));
    boot.predicted = Some("d2".into());
    assert!(judge(&boot).meets(Expected::Unmeasured));
    boot.predicted = None;
    assert_eq!(judge(&boot).name(), "broken");
    let mut plain = shutdown(Mode::None, &console(Mode::None));
    plain.predicted = Some("d1".into());
    assert_eq!(judge(&plain).name(), "broken");
}

#[test]
fn refusals_need_set_code_and_name() {
    let wanted = Refusal::DebugForbidden;
    let name = Some(wanted.name());
    let judged = |end| judge(&seen(Mode::Snp, "", end));
    let good = judged(ended("refused", name, TERMINATE_SET_TESSERA, 1));
    assert!(good.meets(Expected::Refuses(wanted)));
    assert!(!good.meets(Expected::Refuses(Refusal::ModeForbidden)) && !good.meets(Expected::Runs));
    for end in [
        ended("refused", name, 0, 1),
        ended("refused", name, TERMINATE_SET_TESSERA, 2),
        ended("refused", None, TERMINATE_SET_TESSERA, 0x7F),
        ended("refused", name, TERMINATE_SET_TESSERA, 0x1_0000_0001),
    ] {
        assert_eq!(judged(end).name(), "panic");
    }
}

#[test]
fn words_are_a_refusal_only_on_a_plain_machine() {
    let words = "tessera: refused msr-disagrees: a; b\n";
    let wanted = Expected::Refuses(Refusal::MsrDisagrees);
    assert!(judge(&shutdown(Mode::None, words)).meets(wanted));
    assert!(!judge(&shutdown(Mode::Snp, words)).meets(wanted));
}

#[test]
fn bad_ends_have_their_names() {
    for (end, reason, name) in [
        ("hang", Some("max_exits"), "hang"),
        ("panic", None, "panic"),
        ("breach", Some("double-validation"), "breach"),
        ("breach", Some("private-data-shared"), "leak"),
        ("breach", Some("vmpck-exposed"), "leak"),
        ("triple-fault", None, "breach"),
        ("denied", Some("page-withheld"), "denied"),
        ("something", None, "broken"),
    ] {
        let outcome = judge(&seen(
            Mode::Snp,
            &console(Mode::Snp),
            ended(end, reason, 0, 0),
        ));
        assert_eq!(outcome.name(), name, "{end} {reason:?}");
        assert!(!outcome.meets(Expected::Runs) && outcome.reason().is_some());
    }
}

#[test]
fn the_bench_itself_can_break() {
    let good = shutdown(Mode::None, &console(Mode::None));
    let with = |change: &dyn Fn(&mut Observed)| {
        let mut boot = good.clone();
        change(&mut boot);
        judge(&boot).name()
    };
    let report = |change: &dyn Fn(&mut Report)| {
        with(&|boot| change(boot.report.as_mut().unwrap().as_mut().unwrap()))
    };
    assert_eq!(with(&|boot| boot.exit = Exit::Status(0)), "broken");
    assert_eq!(with(&|boot| boot.exit = Exit::Signal), "broken");
    assert_eq!(
        with(&|boot| boot.report = Some(Err("noise".into()))),
        "broken"
    );
    assert_eq!(report(&|report| report.ended = None), "broken");
    assert_eq!(report(&|report| report.loaded = None), "broken");
    assert_eq!(
        report(&|report| report.host_error = Some("x".into())),
        "broken"
    );
    let late = |boot: &mut Observed| {
        boot.exit = Exit::TimedOut;
        boot.report = Some(Ok(Report::default()));
    };
    assert_eq!(with(&late), "hang");
}

#[test]
fn direct_boots_are_judged_by_status_and_words() {
    let boot = |exit, text: &str| {
        let console = Console::parse(text);
        judge(&Observed {
            mode: Mode::None,
            exit,
            console,
            report: None,
            predicted: None,
        })
    };
    let whole = console(Mode::None);
    assert_eq!(boot(Exit::Status(0), &whole), Outcome::Runs);
    assert_eq!(boot(Exit::Status(0), "").name(), "panic");
    assert_eq!(boot(Exit::TimedOut, &whole).name(), "hang");
    assert_eq!(boot(Exit::Status(1), &whole).name(), "broken");
}
