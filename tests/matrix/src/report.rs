//! The test host's report: one JSON object a line.

use serde::Deserialize;
use std::collections::BTreeMap;

/// A line of the report.
#[derive(Deserialize)]
#[serde(tag = "event", rename_all = "kebab-case")]
enum Line {
    Loaded(Loaded),
    Trace {},
    End(Box<Ended>),
    HostError { error: String },
}

/// What the host loaded, before the first instruction.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize)]
pub struct Loaded {
    /// SHA-256 over guest memory by range name, hex.
    pub hashes: BTreeMap<String, String>,
    /// SHA-384 of the pages of parameters by name, hex.
    #[serde(default)]
    pub heard: BTreeMap<String, String>,
    /// What silicon measured, hex; nothing in mode `none`.
    pub launch_digest: Option<String>,
}

/// A request that the host does not model.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize)]
pub struct Missed {
    /// How often.
    pub count: u64,
    /// The guest's instruction pointer at the first.
    pub rip: u64,
    /// The first one's fields, where the request has any.
    #[serde(default)]
    pub fields: [u64; 4],
}

/// How the host says the run ended.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize)]
pub struct Ended {
    /// `shutdown`, `refused`, `denied`, `breach`, `hang`, `panic` or `triple-fault`.
    pub end: String,
    /// Name of the refusal or breach, or words on what was denied or hung.
    pub reason: Option<String>,
    /// The guest's instruction pointer.
    pub rip: u64,
    /// Reason set of a termination request.
    pub set: u64,
    /// Reason code of a termination request.
    pub code: u64,
    /// EXITINFO1 and EXITINFO2 of the last exit.
    #[serde(default)]
    pub info1: u64,
    /// For a nested fault the guest-physical address, with C-bit or shared bit.
    #[serde(default)]
    pub info2: u64,
    /// Isolation operations that the host saw, each once.
    pub operations: Vec<String>,
    /// How often each came.
    #[serde(default)]
    pub counted: BTreeMap<String, u64>,
    /// Exits by class.
    pub exits: BTreeMap<String, u64>,
    /// What came before the first exit out of ring 3.
    #[serde(default)]
    pub boot: Option<Boot>,
    /// Exits of a lower context that the one below it served, by class.
    #[serde(default)]
    pub served: BTreeMap<String, u64>,
    /// Instructions of the one below for those.
    #[serde(default)]
    pub serving: BTreeMap<String, u64>,
    /// The fewest of them for one exit.
    #[serde(default)]
    pub least: BTreeMap<String, u64>,
    /// Requests that the host does not model, by name.
    #[serde(default)]
    pub unimplemented: BTreeMap<String, Missed>,
    /// Pages that the guest validated or accepted.
    pub pages_accepted: u64,
    /// Pages that are shared at the end.
    pub pages_shared: u64,
    /// Instructions of the guest.
    pub instructions: u64,
    /// How often the scenario's lie was told.
    pub lie_told: u64,
    /// How often silicon kept it from the guest.
    pub lie_stopped: u64,
    /// SNP reports that the guest got, oldest first.
    #[serde(default)]
    pub reports: Vec<Issued>,
    /// TDX run-time measurement registers, hex; none elsewhere.
    #[serde(default)]
    pub rtmr: Vec<String>,
    /// The page of the paravisor's features at the end, without the zeros at its end, hex.
    #[serde(default)]
    pub features: String,
    /// The page of the event log, likewise.
    #[serde(default)]
    pub event_log: String,
}

/// The boot, until ring 3 is left for the host.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize)]
pub struct Boot {
    /// Instructions of the guest's own.
    pub instructions: u64,
    /// Exits by class.
    pub exits: BTreeMap<String, u64>,
    /// Isolation operations by name.
    #[serde(default)]
    pub counted: BTreeMap<String, u64>,
}

/// An SNP report, by what matters here.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize)]
pub struct Issued {
    /// VMPL that it names.
    pub vmpl: u32,
    /// REPORT_DATA, hex.
    pub report_data: String,
}

/// A whole report. `ended` is missing when the run was cut off.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Report {
    /// The first line.
    pub loaded: Option<Loaded>,
    /// The last line.
    pub ended: Option<Ended>,
    /// Why the host itself gave up.
    pub host_error: Option<String>,
}

impl Report {
    /// Reads a report. A last line without its line break was cut off and is left out.
    /// Errors: a sentence that quotes the line that is not one of the host's.
    pub fn parse(text: &str) -> Result<Self, String> {
        let mut report = Report::default();
        for line in text
            .split_inclusive('\n')
            .filter_map(|line| line.strip_suffix('\n'))
        {
            if report.ended.is_some() {
                return Err(format!("the report goes on after its end: {line}"));
            }
            match serde_json::from_str(line) {
                Ok(Line::Loaded(loaded)) => report.loaded = Some(loaded),
                Ok(Line::Trace {}) => {}
                Ok(Line::End(ended)) => report.ended = Some(*ended),
                Ok(Line::HostError { error }) => report.host_error = Some(error),
                // A host that panics cannot escape its message.
                Err(_) if line.starts_with(r#"{"event":"host-error""#) => {
                    report.host_error = Some(line.to_owned());
                }
                Err(error) => return Err(format!("not a report line ({error}): {line}")),
            }
        }
        Ok(report)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const LOADED: &str =
        r#"{"event":"loaded","hashes":{"kernel":"aa","stub":"bb"},"launch_digest":null}"#;
    const TRACE: &str =
        r#"{"event":"trace","n":1,"exit":"cpuid","exit_code":114,"info1":0,"info2":0,"rip":5}"#;
    const END: &str = r#"{"event":"end","end":"refused","reason":"debug-forbidden","rip":1048577,"set":5,"code":1,"operations":["vmgexit"],"exits":{"cpuid":4},"pages_accepted":3,"pages_shared":1,"instructions":900,"lie_told":1,"lie_stopped":0,"reports":[{"vmpl":0,"report_data":"0a"}],"rtmr":[]}"#;

    #[test]
    fn a_recorded_report_is_read() {
        let report = Report::parse(&format!("{LOADED}\n{TRACE}\n{END}\n")).unwrap();
        assert_eq!(report.loaded.unwrap().hashes["stub"], "bb");
        let ended = report.ended.unwrap();
        assert_eq!(
            (ended.end.as_str(), ended.code, ended.exits["cpuid"]),
            ("refused", 1, 4)
        );
        assert_eq!(ended.operations, ["vmgexit"]);
        assert_eq!((ended.reports.len(), ended.reports[0].vmpl), (1, 0));
    }

    #[test]
    fn a_cut_off_report_has_no_end() {
        let report = Report::parse(&format!("{LOADED}\n{END}")).unwrap();
        assert!(report.loaded.is_some() && report.ended.is_none());
    }

    #[test]
    fn noise_and_lines_after_the_end_are_errors() {
        for text in [
            "hello\n",
            "{\"event\":\"end\"}\n",
            &format!("{END}\n{LOADED}\n"),
        ] {
            assert!(Report::parse(text).is_err(), "{text}");
        }
    }

    #[test]
    fn a_fault_of_the_host_is_kept_even_if_it_is_no_json() {
        for text in [
            "{\"event\":\"host-error\",\"error\":\"x\"}\n",
            "{\"event\":\"host-error\",\"error\":\"a \"b\" x\"}\n",
        ] {
            assert!(
                Report::parse(text)
                    .unwrap()
                    .host_error
                    .unwrap()
                    .contains('x')
            );
        }
    }
}
