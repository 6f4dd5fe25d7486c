//! The runner against a fake QEMU: a shell script that leaves the files of a boot. Every bad
//! ending must fail, and leave what a person needs.

use std::{
    fs,
    num::NonZero,
    os::unix::fs::PermissionsExt,
    path::{Path, PathBuf},
    time::Duration,
};
use tessera_matrix::{
    bench::{Bench, Prepared},
    json, junit,
    row::Row,
    run,
    scenario::{Boot, Selection, Tier, Variant},
    table,
};

/// Finds console and report among the arguments, then runs the test's own lines.
const FINDS_FILES: &str = r#"#!/bin/sh
console= report=
for word in "$@"; do
  case "$word" in
    file:*console.txt) console="${word#file:}" ;;
    file:*report.jsonl) report="${word#file:}" ;;
    *scenario,string=*) scenario="$word" ;;
  esac
done
loaded() { echo "{\"event\":\"loaded\",\"hashes\":{\"kernel\":\"$1\",\"stub\":\"s\"},\"launch_digest\":null}" >> "$report"; }
end() { echo "{\"event\":\"end\",\"end\":\"$1\",\"reason\":$2,\"rip\":4096,\"set\":$3,\"code\":$4,\"operations\":[${5-\"mmio\"}],\"exits\":{\"cpuid\":2},\"pages_accepted\":1,\"pages_shared\":2,\"instructions\":3,\"lie_told\":${told:-0},\"lie_stopped\":0}" >> "$report"; }
says() { printf 'tessera: mode=%s profile=hyperv strategies=native,plain,told-time-stamp protections=smep,smap,umip\ntessera: policy=demo\ntessera: acpi: the host claims 1 processor(s)\ntessera: processors: 1 of 1 claimed run\ninit: interrupt lines come\ninit: interrupt messages come\ninit: the host sees what is shared\ninit: chaos panicked at a.rs:1: x\ninit: mode=%s clock=host pages total=15612 accepted=1 shared=2 kernel=484 process=7 ticks=3\ntessera: shutdown\n' "$1" "$1" >> "$console"; }
"#;

struct Fake {
    _folder: tempfile::TempDir,
    bench: Bench,
}

fn fake(script: &str) -> Fake {
    let folder = tempfile::tempdir().unwrap();
    let file = |name: &str, text: &str| -> PathBuf {
        let path = folder.path().join(name);
        fs::write(&path, text).unwrap();
        path
    };
    let qemu = file("qemu-system-x86_64", &format!("{FINDS_FILES}{script}\n"));
    fs::set_permissions(&qemu, fs::Permissions::from_mode(0o755)).unwrap();
    let image = |variant: Variant| Prepared {
        igvm: file(&format!("{}.igvm", variant.name()), "image"),
        hash: "kernel:200000:1000,stub:100000:1000".into(),
        loaded: [("kernel", "k"), ("stub", "s")]
            .map(|(a, b)| (a.into(), b.into()))
            .into(),
        ..Prepared::default()
    };
    let bench = Bench {
        sizes: String::new(),
        qemu,
        host: file("host.elf", ""),
        stub: file("stub.elf", ""),
        programs: Vec::new(),
        images: Variant::ALL.map(|variant| (variant, image(variant))).into(),
        failed: folder.path().join("failed"),
        limit: Duration::from_millis(1500),
    };
    Fake {
        _folder: folder,
        bench,
    }
}

fn boots(scenarios: &[&str]) -> Vec<Boot> {
    let scenarios = scenarios.iter().map(|name| (*name).to_owned()).collect();
    let modes = vec![tessera_defs::mode::Mode::None];
    Selection {
        modes,
        scenarios,
        tier: Tier::Full,
    }
    .boots()
    .unwrap()
}

fn rows(fake: &Fake, scenarios: &[&str]) -> Vec<Row> {
    let jobs = NonZero::new(2).unwrap();
    let mut seen = 0;
    let rows = run::matrix(&fake.bench, &boots(scenarios), jobs, |_| seen += 1);
    assert_eq!(seen, rows.len());
    rows
}

fn friendly(script: &str) -> (Row, Fake) {
    let fake = fake(script);
    (rows(&fake, &["friendly"]).remove(0), fake)
}

#[test]
fn a_good_boot_passes_and_leaves_nothing() {
    let (row, fake) = friendly("loaded k; says none; end shutdown null 0 0; exit 1");
    assert!(row.passed(), "{:?}", row.complaints());
    assert_eq!(
        (row.pages_accepted, row.pages_shared, row.instructions),
        (1, 2, 3)
    );
    assert_eq!(row.file_sha256.len(), 64);
    assert!(!fake.bench.failed.exists() && table::explanation(&row).is_empty());
    assert!(json::line(&row).contains("\"kernel_sha256\":\"k\""));
}

#[test]
fn every_bad_ending_fails_by_name() {
    for (script, name) in [
        ("loaded k; says none; exec sleep 30", "hang"),
        (
            "loaded k; says none; end hang '\"max_exits\"' 0 0; exit 1",
            "hang",
        ),
        ("loaded k; end panic null 7 254; exit 1", "panic"),
        ("loaded k; end shutdown null 0 0; exit 1", "panic"),
        (
            "loaded k; says none; end breach '\"double-validation\"' 0 0; exit 1",
            "breach",
        ),
        (
            "loaded k; says none; end breach '\"private-data-shared\"' 0 0; exit 1",
            "leak",
        ),
        (
            "loaded k; says none; end triple-fault null 0 0; exit 1",
            "breach",
        ),
        (
            "loaded k; says snp; end shutdown null 0 0; exit 1",
            "wrong-mode",
        ),
        ("loaded k; end denied '\"page\"' 0 0; exit 1", "denied"),
        (
            "loaded k; end refused '\"mode-forbidden\"' 7 2; exit 1",
            "refuses(mode-forbidden)",
        ),
        (
            "loaded k; says none; end shutdown null 0 0; exit 0",
            "broken",
        ),
        ("loaded k; says none; exit 1", "broken"),
        ("says none; end shutdown null 0 0; exit 1", "broken"),
        ("echo qemu: no such machine; exit 1", "broken"),
        ("echo rubbish > $report; exit 1", "broken"),
        ("loaded k; kill -9 $$", "broken"),
    ] {
        let (row, _fake) = friendly(script);
        assert!(!row.passed(), "{script}");
        assert_eq!(row.outcome.name(), name, "{script}");
    }
}

#[test]
fn another_kernel_and_unexplained_operations_fail() {
    for script in [
        "loaded x; says none; end shutdown null 0 0; exit 1",
        "loaded k; says none; end shutdown null 0 0 '\"mmio\",\"pvalidate\"'; exit 1",
        "loaded k; says none; sed -i s/plain/magic/ $console; end shutdown null 0 0; exit 1",
        "loaded k; says none; sed -i s/hyperv/kvm/ $console; end shutdown null 0 0; exit 1",
        "loaded k; says none; sed -i '/policy/d' $console; end shutdown null 0 0; exit 1",
        "loaded k; says none; sed -i 's/claims 1/claims 2/' $console; end shutdown null 0 0; exit 1",
    ] {
        let (row, _fake) = friendly(script);
        assert!(!row.passed() && row.outcome.name() == "runs", "{script}");
        assert_eq!(row.faults.len(), 1, "{script}: {:?}", row.faults);
    }
}

#[test]
fn a_refusal_passes_only_where_it_is_expected() {
    let fake = fake(
        "case $scenario in *lie=none*) ;; *) told=1 ;; esac; loaded k; end refused '\"msr-disagrees\"' 7 7; exit 1",
    );
    let rows = rows(&fake, &["friendly", "msr-disagrees", "unknown-isolation"]);
    let passed: Vec<_> = rows.iter().map(Row::passed).collect();
    assert_eq!(passed, [false, true, false]);
    assert!(junit::document(&rows).contains("tests=\"3\" failures=\"2\""));
    assert!(table::summary(&rows).starts_with("1 of 3 "));
}

#[test]
fn a_lie_that_was_not_told_fails_whatever_the_outcome() {
    let fake = fake("loaded k; says none; end shutdown null 0 0; exit 1");
    let row = rows(&fake, &["acpi-garbage"]).remove(0);
    assert!(!row.passed() && row.outcome.name() == "runs");
    let named = |fault: &String| fault.contains("acpi-garbage");
    assert!(row.faults.iter().any(named), "{:?}", row.faults);
}

#[test]
fn a_failed_boot_leaves_what_a_person_needs() {
    let (row, fake) = friendly(
        "loaded k; echo hello > $console; echo complaint >&2; \
         case $scenario in *trace=1*) echo '{\"event\":\"trace\"}' >> $report ;; esac; \
         end panic null 7 254; exit 1",
    );
    let folder = row.kept.clone().unwrap();
    assert_eq!(folder, fake.bench.failed.join("none-friendly"));
    let read = |name: &str| fs::read_to_string(folder.join(name)).unwrap();
    assert_eq!(read("console.txt"), "hello\n");
    assert_eq!(read("qemu.txt"), "complaint\n");
    assert!(read("report.jsonl").contains("panic") && !read("report.jsonl").contains("trace"));
    assert!(read("trace.jsonl").contains("\"trace\""));
    assert!(read("replay.txt").contains("matrix --mode none --scenario friendly"));
    let command = read("command.txt");
    assert!(command.contains("lie=none") && command.contains(&folder.display().to_string()));
    assert!(table::explanation(&row).contains("again: "));
}

#[test]
fn a_missing_qemu_is_a_broken_row() {
    let mut fake = fake("exit 1");
    fake.bench.qemu = Path::new("/nonexistent/qemu").into();
    let row = rows(&fake, &["friendly"]).remove(0);
    assert!(!row.passed() && row.outcome.name() == "broken");
    assert!(row.outcome.reason().unwrap().contains("/nonexistent/qemu"));
}

#[test]
fn a_direct_boot_has_no_host() {
    let script = "[ -z \"$report\" ] || exit 9; says none; sed -i 's/hyperv/kvm/;s/told-time-stamp/apic-timer/' $console; exit 0";
    let fake = fake(script);
    let row = rows(&fake, &["friendly-direct"]).remove(0);
    assert!(row.passed(), "{:?}", row.complaints());
    assert!(json::line(&row).contains("\"kernel_sha256\":null"));
}
