//! How a boot ended: a pure judgement over what QEMU, the host's report and the console say.

use crate::{
    console::Console,
    report::{Ended, Report},
};
use tessera_defs::{breach, mode::Mode, refusal::Refusal, snp::ghcb_msr::TERMINATE_SET_TESSERA};

/// The one way in which a boot of a scenario may end.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Expected {
    /// The kernel reaches ring 3 and shuts down in order.
    Runs,
    /// The guest stops by itself, for this reason.
    Refuses(Refusal),
    /// The host withholds what it alone can give.
    Denied,
    /// It boots, but the launch digest is not the predicted one.
    Unmeasured,
}

/// How it did end. Only the first four can ever be expected.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Outcome {
    /// As [`Expected::Runs`].
    Runs,
    /// As [`Expected::Refuses`].
    Refuses(Refusal),
    /// As [`Expected::Denied`], with what was withheld.
    Denied(String),
    /// As [`Expected::Unmeasured`].
    Unmeasured,
    /// No progress, or no end in time.
    Hang(String),
    /// The guest panicked, or went off without its last words.
    Panic(String),
    /// The guest broke the protocol.
    Breach(String),
    /// The guest exposed what is private.
    Leak(String),
    /// The guest ran in another mode than the one that was offered.
    WrongMode(String),
    /// The bench itself failed: QEMU, the test host or its report.
    Broken(String),
}

/// How QEMU ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Exit {
    /// By itself, with this status.
    Status(i32),
    /// By a signal that was not ours.
    Signal,
    /// We ended it after the time limit.
    TimedOut,
}

/// Everything that is known of a boot.
#[derive(Debug, Clone)]
pub struct Observed {
    /// The mode that the host offered.
    pub mode: Mode,
    /// How QEMU ended.
    pub exit: Exit,
    /// The guest's console.
    pub console: Console,
    /// The host's report; `None` for a direct boot without the test host.
    pub report: Option<Result<Report, String>>,
    /// The launch digest that the manifest predicts; `None` in mode `none`.
    pub predicted: Option<String>,
}

/// QEMU's status after the test host wrote 0 to isa-debug-exit.
const HOST_DONE: i32 = 1;

/// Breaches that show private data.
const LEAKS: [&str; 3] = [
    breach::PRIVATE_DATA_SHARED.name,
    breach::VMPCK_EXPOSED.name,
    breach::VMCALL_LEAK.name,
];

/// Judges a boot.
pub fn judge(seen: &Observed) -> Outcome {
    match &seen.report {
        None => judge_direct(seen),
        Some(Err(error)) => Outcome::Broken(error.clone()),
        Some(Ok(report)) => judge_hosted(seen, report),
    }
}

fn judge_direct(seen: &Observed) -> Outcome {
    match seen.exit {
        Exit::TimedOut => Outcome::Hang("no end within the time limit".into()),
        Exit::Status(0) => judge_off(seen, None),
        other => Outcome::Broken(format!("QEMU ended with {other:?}")),
    }
}

fn judge_hosted(seen: &Observed, report: &Report) -> Outcome {
    if let Some(error) = &report.host_error {
        return Outcome::Broken(format!("test host: {error}"));
    }
    match (seen.exit, &report.ended) {
        (Exit::TimedOut, None) => Outcome::Hang("no end within the time limit".into()),
        (Exit::Status(HOST_DONE), Some(ended)) => match &report.loaded {
            Some(loaded) => judge_end(seen, ended, loaded.launch_digest.as_deref()),
            None => Outcome::Broken("the host did not say what it loaded".into()),
        },
        (exit, None) => Outcome::Broken(format!("the report has no end, QEMU: {exit:?}")),
        (exit, Some(_)) => Outcome::Broken(format!("QEMU did not end by the host: {exit:?}")),
    }
}

fn judge_end(seen: &Observed, ended: &Ended, digest: Option<&str>) -> Outcome {
    let reason = || {
        ended
            .reason
            .clone()
            .unwrap_or_else(|| "no reason given".into())
    };
    match ended.end.as_str() {
        "shutdown" => judge_off(seen, digest),
        "refused" => judge_refusal(ended),
        "denied" => Outcome::Denied(reason()),
        "breach" if LEAKS.contains(&reason().as_str()) => Outcome::Leak(reason()),
        "breach" => Outcome::Breach(reason()),
        "hang" => Outcome::Hang(reason()),
        "panic" => Outcome::Panic(seen.console.panic.clone().unwrap_or_else(reason)),
        "triple-fault" => Outcome::Breach(breach::UNHANDLED_EXCEPTION.name.into()),
        other => Outcome::Broken(format!("the host names an unknown end: {other}")),
    }
}

/// The code counts; the host's name for it must fit.
fn judge_refusal(ended: &Ended) -> Outcome {
    let ours = ended.set == u64::from(TERMINATE_SET_TESSERA);
    let code = u8::try_from(ended.code).ok().and_then(Refusal::from_code);
    match code.filter(|_| ours) {
        Some(refusal) if ended.reason.as_deref() == Some(refusal.name()) => {
            Outcome::Refuses(refusal)
        }
        _ => Outcome::Panic(format!(
            "terminated with set {} code {:#x} ({})",
            ended.set,
            ended.code,
            ended.reason.as_deref().unwrap_or("no name")
        )),
    }
}

/// The machine went off: in order only if kernel and first process said what they must.
fn judge_off(seen: &Observed, digest: Option<&str>) -> Outcome {
    let console = &seen.console;
    // Only a plain machine has no architectural door for a refusal but words and soft off.
    if let (Mode::None, Some(refusal)) = (seen.mode, console.refused) {
        return Outcome::Refuses(refusal);
    }
    if let Some(panic) = &console.panic {
        return Outcome::Panic(panic.clone());
    }
    let expected = seen.mode.name();
    for (who, mode) in [("kernel", &console.mode), ("init", &console.init_mode)] {
        match mode.as_deref() {
            None => return Outcome::Panic(format!("off before the {who} told its mode")),
            Some(mode) if mode != expected => {
                return Outcome::WrongMode(format!("{who} says {mode}, offered was {expected}"));
            }
            Some(_) => {}
        }
    }
    if let Some(check) = &console.failed_check {
        return Outcome::Panic(format!("init: check failed: {check}"));
    }
    if !console.shutdown {
        return Outcome::Panic("off without `tessera: shutdown`".into());
    }
    match (digest, seen.predicted.as_deref()) {
        (measured, predicted) if measured == predicted => Outcome::Runs,
        (Some(_), Some(_)) => Outcome::Unmeasured,
        (measured, _) => Outcome::Broken(format!("launch digest {measured:?} in mode {expected}")),
    }
}

impl Expected {
    /// `runs`, `refuses(debug-forbidden)`, `denied`, `unmeasured`.
    pub fn name(self) -> String {
        match self {
            Expected::Runs => "runs".into(),
            Expected::Refuses(refusal) => format!("refuses({refusal})"),
            Expected::Denied => "denied".into(),
            Expected::Unmeasured => "unmeasured".into(),
        }
    }
}

impl Outcome {
    /// Whether it is the expected one.
    pub fn meets(&self, expected: Expected) -> bool {
        match (self, expected) {
            (Outcome::Runs, Expected::Runs)
            | (Outcome::Denied(_), Expected::Denied)
            | (Outcome::Unmeasured, Expected::Unmeasured) => true,
            (Outcome::Refuses(seen), Expected::Refuses(wanted)) => *seen == wanted,
            _ => false,
        }
    }

    /// As [`Expected::name`], or `hang`, `panic`, `breach`, `leak`, `wrong-mode`, `broken`.
    pub fn name(&self) -> String {
        match self {
            Outcome::Runs => Expected::Runs.name(),
            Outcome::Refuses(refusal) => Expected::Refuses(*refusal).name(),
            Outcome::Denied(_) => Expected::Denied.name(),
            Outcome::Unmeasured => Expected::Unmeasured.name(),
            Outcome::Hang(_) => "hang".into(),
            Outcome::Panic(_) => "panic".into(),
            Outcome::Breach(_) => "breach".into(),
            Outcome::Leak(_) => "leak".into(),
            Outcome::WrongMode(_) => "wrong-mode".into(),
            Outcome::Broken(_) => "broken".into(),
        }
    }

    /// Why, where there is more to say than the name.
    pub fn reason(&self) -> Option<String> {
        match self {
            Outcome::Runs | Outcome::Unmeasured => None,
            Outcome::Refuses(refusal) => Some(refusal.name().into()),
            Outcome::Denied(words)
            | Outcome::Hang(words)
            | Outcome::Panic(words)
            | Outcome::Breach(words)
            | Outcome::Leak(words)
            | Outcome::WrongMode(words)
            | Outcome::Broken(words) => Some(words.clone()),
        }
    }
}

#[cfg(test)]
#[path = "outcome_tests.rs"]
mod tests;
