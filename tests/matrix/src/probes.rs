//! What a guest below the paravisor says of it: every service used, everything else refused.

use crate::report::Ended;
use tessera_defs::mode::Mode;
use tessera_guest::catalogue::{PROBE_LINE, PROBE_OK, PROBES};

/// What is wrong, a sentence each: a probe that failed, is missing, came twice, or that nobody
/// knows; an end that is no soft off.
pub fn faults(mode: Mode, ended: &Ended, console: &str) -> Vec<String> {
    let lines = console.lines().map(|line| line.trim_end_matches('\r'));
    let told: Vec<_> = lines
        .filter_map(|line| line.strip_prefix(PROBE_LINE))
        .collect();
    let good = |name: &str| {
        let is = |line: &&&str| line.strip_suffix(PROBE_OK) == Some(name);
        told.iter().filter(is).count()
    };
    let wanted = PROBES
        .iter()
        .filter(|probe| probe.only.is_none_or(|only| only == mode));
    let mut faults: Vec<_> = wanted
        .filter(|probe| good(probe.name) != 1)
        .map(|probe| format!("{} reported well {} times", probe.name, good(probe.name)))
        .collect();
    let known = |line: &str| {
        let name = line.strip_suffix(PROBE_OK);
        PROBES.iter().any(|probe| Some(probe.name) == name)
    };
    faults.extend(
        told.iter()
            .filter(|line| !known(line))
            .map(|line| (*line).to_owned()),
    );
    if ended.end != "shutdown" {
        let reason = ended.reason.as_deref().unwrap_or("no reason");
        faults.push(format!("ended as {} ({reason})", ended.end));
    }
    faults
}

#[cfg(test)]
mod tests {
    use super::*;

    const MODE: Mode = Mode::SnpParavisor;

    fn console() -> String {
        let line = |name| format!("{PROBE_LINE}{name}{PROBE_OK}\n");
        PROBES.iter().map(|probe| line(probe.name)).collect()
    }

    fn count(console: &str, end: &str) -> usize {
        let ended = Ended {
            end: end.into(),
            ..Ended::default()
        };
        faults(MODE, &ended, console).len()
    }

    #[test]
    fn only_every_probe_and_soft_off_will_do() {
        let all = console();
        assert_eq!(count(&all, "shutdown"), 0);
        assert_eq!(count(&all, "hang"), 1);
        assert_eq!(count(&all.replace("probe: timer ok\n", ""), "shutdown"), 1);
        let failed = all.replace("timer ok", "timer failed: late");
        assert_eq!(count(&failed, "shutdown"), 2);
        let twice = format!("{all}probe: timer ok\n");
        assert_eq!(count(&twice, "shutdown"), 1);
        let unknown = format!("{all}probe: service-9-2 failed: no probe\n");
        assert_eq!(count(&unknown, "shutdown"), 1);
        assert_eq!(count(&format!("{all}probe: x ok\n"), "shutdown"), 1);
    }
}
