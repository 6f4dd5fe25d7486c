//! The tables of what the test host models: a guest's probes show that they are true, and
//! `tests/host/README.md` says the same.

use std::{collections::BTreeSet, fs, path::Path};
use tessera_defs::mode::{HostProfile, Mode};
use tessera_guest::catalogue::{ALL, CONFORMANCE, CONFORMANCE_KVM, PROBE_LINE, PROBE_OK};
use tessera_guest::models::{self, GROUPS, OPEN, Probe, Row, State};
use tessera_matrix::broken;

const BEGIN: &str =
    "<!-- models: `cargo test -p tessera-matrix --test conformance` says where it wrote them -->\n";
const END: &str = "<!-- end of models -->\n";

/// Boots, and demands that each probe of this mode and host said that all is well, once.
fn probe(mode: Mode, name: &str) {
    let (bench, product, guest) = broken::built();
    let (ended, console) = broken::run(bench, &product.inputs, guest, mode, name)
        .unwrap_or_else(|error| panic!("{error}"));
    let lines: Vec<_> = console
        .lines()
        .map(|line| line.trim_end_matches('\r'))
        .filter_map(|line| line.strip_prefix(PROBE_LINE))
        .collect();
    let profile = match name {
        CONFORMANCE => HostProfile::HyperV,
        _ => HostProfile::Kvm,
    };
    let wanted: Vec<_> = models::CONFORMANCE
        .iter()
        .filter(|check| check.runs(mode, profile))
        .map(|check| format!("{}{PROBE_OK}", check.name))
        .collect();
    assert_eq!(lines, wanted, "{console}\n{ended:?}");
    assert_eq!(ended.end, "shutdown", "{ended:?}");
    if mode == Mode::Snp {
        // What is refused is named in the report, with the request's fields.
        let missed = ended.unimplemented.get("ghcb 0x80001234");
        let missed = missed.expect("the unsupported event is in the report");
        assert_eq!(missed.fields[0], 0x8000_1234);
        assert_ne!(missed.rip, 0);
    }
}

#[test]
fn a_plain_host() {
    probe(Mode::None, CONFORMANCE);
}

#[test]
fn an_snp_host() {
    probe(Mode::Snp, CONFORMANCE);
}

#[test]
fn a_tdx_host() {
    probe(Mode::Tdx, CONFORMANCE);
}

#[test]
fn a_host_below_vmpl_0() {
    probe(Mode::SnpParavisor, CONFORMANCE);
}

#[test]
fn a_host_below_l1() {
    probe(Mode::TdxParavisor, CONFORMANCE);
}

#[test]
fn an_snp_host_without_hyperv() {
    probe(Mode::Snp, CONFORMANCE_KVM);
}

#[test]
fn a_tdx_host_without_hyperv() {
    probe(Mode::Tdx, CONFORMANCE_KVM);
}

fn rows() -> impl Iterator<Item = &'static Row> {
    GROUPS.iter().flat_map(|(_, rows)| rows.iter())
}

#[test]
fn every_row_names_a_probe_that_there_is() {
    let checks: BTreeSet<_> = models::CONFORMANCE.iter().map(|check| check.name).collect();
    let mut used = BTreeSet::new();
    for row in rows() {
        let there = match row.probe {
            Probe::Conformance(name) => {
                used.insert(name);
                checks.contains(name)
            }
            Probe::Act(name) => ALL.iter().any(|act| act.name == name),
            Probe::None => matches!(row.state, State::Absent(_) | State::Open(_)),
            _ => true,
        };
        assert!(there, "{}: {}", row.item, row.probe);
    }
    assert_eq!(used, checks, "a probe that no row names");
    let open = rows()
        .filter(|row| matches!(row.state, State::Open(_)))
        .count();
    assert_eq!(open, OPEN, "rows that are open");
}

fn readme() -> std::path::PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../host/README.md")
}

fn expected() -> (String, String) {
    let text = fs::read_to_string(readme()).unwrap();
    let (before, rest) = text.split_once(BEGIN).expect("the tables' beginning");
    let (_, after) = rest.split_once(END).expect("the tables' end");
    let mut tables = String::new();
    models::render(&mut tables).unwrap();
    let expected = format!("{before}{BEGIN}{tables}\n{END}{after}");
    (text, expected)
}

#[test]
fn the_readme_has_these_tables() {
    let (text, expected) = expected();
    let fresh = Path::new(env!("CARGO_TARGET_TMPDIR")).join("host-README.md");
    fs::write(&fresh, &expected).unwrap();
    assert!(
        text == expected,
        "tests/host/README.md differs from tests/guest/src/models.rs: copy {} there",
        fresh.display()
    );
}
