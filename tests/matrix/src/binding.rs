//! Whether the mode is bound into what the hardware signed. By the bytes of `docs/binding.md` and
//! nothing of the guest's own code, so that a mistake in it does not hide itself.

use crate::{outcome::Outcome, report::Report, row::Row};
use sha2::{Digest, Sha384};
use tessera_defs::mode::Mode;

/// REPORT_DATA of the stub's own report, which is no evidence.
const STUB: &[u8; 64] = b"tessera stub: only to read the guest policy, not evidence.......";
/// The data over which the kernel asks for evidence.
const KERNEL: &[u8; 64] = b"tessera kernel: asked at boot, to see that evidence can be had..";
/// Behind a digest over a caller's data.
const TAG: &[u8; 16] = b"tessera evidence";
/// Pages of parameters, in the order of their events in the log, from the third on.
const PAGES: [&str; 4] = ["memory-map", "processors", "madt", "command-line"];
/// Bytes before the events, of an event, and of the whole log.
const HEADER: usize = 16;
const EVENT: usize = 56;
const LOG: usize = HEADER + 7 * EVENT;

/// What is wrong, a sentence each. A row that ran must have its mode bound.
pub fn faults(row: &Row, report: &Report) -> Vec<String> {
    let ran = matches!(row.outcome, Outcome::Runs | Outcome::Unmeasured);
    let (Some(ended), Some(loaded)) = (&report.ended, &report.loaded) else {
        return Vec::new();
    };
    if !ran || row.boot.mode == Mode::None {
        return Vec::new();
    }
    let log = page(&ended.event_log);
    let binding = expected(row.boot.mode, &page(&ended.features), &log);
    let mut faults = events(row, &loaded.heard, &log);
    faults.extend(match row.boot.mode {
        Mode::Snp | Mode::SnpParavisor => {
            let reports = ended.reports.iter();
            let of_vmpl_0 = reports.filter(|report| report.vmpl == 0);
            let data: Vec<_> = of_vmpl_0
                .map(|report| sized(&report.report_data, 64))
                .collect();
            reported(&binding, &data)
        }
        _ => extended(&binding, &ended.rtmr),
    });
    faults
}

/// SHA-384 over magic, version, mode, and the digests of feature table and event log.
fn expected(mode: Mode, features: &[u8], log: &[u8]) -> Vec<u8> {
    let mut preimage = b"TSRABIND\x01\0\0\0".to_vec();
    preimage.extend((mode as u32).to_le_bytes());
    match mode {
        Mode::SnpParavisor | Mode::TdxParavisor => {
            let word = |at: usize| u32::from_le_bytes(core::array::from_fn(|n| features[at + n]));
            let table = (word(16) as usize).saturating_mul(word(20) as usize);
            let table = table.saturating_add(32);
            preimage.extend(Sha384::digest(&features[..table.min(features.len())]));
        }
        _ => preimage.extend([0; 48]),
    }
    preimage.extend(Sha384::digest(&log[..LOG]));
    Sha384::digest(preimage).to_vec()
}

/// The log has the events of version 1, and the pages are those that the host gave.
fn events(
    row: &Row,
    heard: &std::collections::BTreeMap<String, String>,
    log: &[u8],
) -> Vec<String> {
    let mut faults = Vec::new();
    if !log.starts_with(b"TSRAELOG\x01\0\0\0\x07\0\0\0") {
        faults.push("the event log has no header of version 1".into());
    }
    let event = |n: usize| &log[HEADER + n * EVENT..][..EVENT];
    if (0..7).any(|n| event(n)[..4] != (n as u32 + 1).to_le_bytes()) {
        faults.push("the event log has not the events of version 1".into());
    }
    for (n, name) in PAGES.iter().enumerate() {
        let told = heard.get(*name).map(|hex| bytes(hex));
        if told.as_deref() != Some(&event(n + 2)[8..]) {
            faults.push(format!(
                "the event log has another {name} than the host gave"
            ));
        }
    }
    let profiles = [0u32, 1].map(|profile| {
        let words = [row.boot.mode as u32, profile];
        Sha384::digest(words.map(u32::to_le_bytes).as_flattened())
    });
    if !profiles.iter().any(|digest| digest[..] == event(6)[8..]) {
        faults.push("the event log has another decision".into());
    }
    faults
}

/// SNP: one report of VMPL 0 carries the binding; all others are over a caller's data.
fn reported(binding: &[u8], reports: &[Vec<u8>]) -> Vec<String> {
    let mut faults = Vec::new();
    let first: Vec<_> = reports
        .iter()
        .filter(|data| data[48..] == [0; 16])
        .collect();
    if !matches!(first[..], [one] if one[..48] == *binding) {
        faults.push(format!(
            "{} reports of VMPL 0 look like a binding, and not one is that of this mode",
            first.len()
        ));
    }
    let other = |data: &&Vec<u8>| data[..] != STUB[..] && data[48..] != [0; 16];
    if reports.iter().filter(other).any(|data| data[48..] != *TAG) {
        faults.push("a report of VMPL 0 carries bytes as a caller chose them".into());
    }
    let of_kernel = Sha384::digest([binding, KERNEL].concat());
    if !reports.iter().any(|data| data[..48] == of_kernel[..]) {
        faults.push("there is no report over the kernel's data under this binding".into());
    }
    faults
}

/// TDX: RTMR 3 was extended by the binding and nothing else, the other ones by nothing.
fn extended(binding: &[u8], rtmr: &[String]) -> Vec<String> {
    let wanted = Sha384::digest([&[0; 48], binding].concat());
    let registers: Vec<_> = rtmr.iter().map(|hex| bytes(hex)).collect();
    match &registers[..] {
        [zero @ .., last] if zero.len() == 3 && last[..] == wanted[..] => zero
            .iter()
            .filter(|register| ***register != [0; 48])
            .map(|_| "an RTMR was extended that carries no binding".into())
            .collect(),
        _ => vec!["RTMR 3 does not carry the binding of this mode".into()],
    }
}

fn page(hex: &str) -> Vec<u8> {
    sized(hex, 4096)
}

fn sized(hex: &str, len: usize) -> Vec<u8> {
    let mut bytes = bytes(hex);
    bytes.resize(len, 0);
    bytes
}

/// Bytes of hexadecimal digits; what is none is left out, and makes another digest.
fn bytes(hex: &str) -> Vec<u8> {
    let digits: Vec<_> = hex.chars().filter_map(|digit| digit.to_digit(16)).collect();
    digits
        .chunks_exact(2)
        .map(|pair| (pair[0] << 4 | pair[1]) as u8)
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn with(binding: &[u8], end: &[u8]) -> Vec<u8> {
        [binding, end].concat()
    }

    fn kernels(binding: &[u8]) -> Vec<u8> {
        with(&Sha384::digest([binding, KERNEL].concat()), TAG)
    }

    #[test]
    fn only_the_binding_of_this_mode_will_do() {
        let log = page("");
        let snp = expected(Mode::Snp, &[], &log);
        let below = expected(Mode::SnpParavisor, &page("00"), &log);
        assert_ne!(snp, below);
        let good = [STUB.to_vec(), with(&snp, &[0; 16]), kernels(&snp)];
        assert_eq!(reported(&snp, &good).len(), 0);
        assert_eq!(reported(&below, &good).len(), 2);
        assert_eq!(reported(&snp, &good[..2]).len(), 1);
        assert_eq!(reported(&snp, &[]).len(), 2);
        let raw = [&good[..], &[[7; 64].to_vec()]].concat();
        assert_eq!(reported(&snp, &raw).len(), 1);
        let twice = [&good[..], &good[1..2]].concat();
        assert_eq!(reported(&snp, &twice).len(), 1);
    }

    #[test]
    fn only_rtmr_3_is_extended_once() {
        let binding = [5; 48];
        let hex = |bytes: &[u8]| -> String { bytes.iter().map(|b| format!("{b:02x}")).collect() };
        let once = hex(&Sha384::digest([&[0; 48], &binding[..]].concat()));
        let zero = hex(&[0; 48]);
        let all = |first: &String, last: &String| {
            vec![first.clone(), zero.clone(), zero.clone(), last.clone()]
        };
        assert_eq!(extended(&binding, &all(&zero, &once)).len(), 0);
        assert_eq!(extended(&binding, &all(&zero, &zero)).len(), 1);
        assert_eq!(extended(&binding, &all(&once, &once)).len(), 1);
        assert_eq!(extended(&[6; 48], &all(&zero, &once)).len(), 1);
        assert_eq!(extended(&binding, &[]).len(), 1);
    }
}
