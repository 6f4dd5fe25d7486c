//! A machine that lacks something: said in one line, before anything is built.

use std::{
    fs,
    os::unix::fs::PermissionsExt,
    path::Path,
    process::{Command, Output},
    sync::{Mutex, PoisonError},
};

/// Held while a script is written and while a program starts: a script that is open for writing
/// in a forked child could not be started ("text file busy").
static ONE: Mutex<()> = Mutex::new(());

fn tessera(bin: &Path, arguments: &[&str]) -> Output {
    let _one = ONE.lock().unwrap_or_else(PoisonError::into_inner);
    Command::new(env!("CARGO_BIN_EXE_tessera"))
        .args(arguments)
        .env("PATH", bin)
        .output()
        .expect("the program starts")
}

fn last_line(output: &Output) -> String {
    assert!(!output.status.success());
    assert!(output.stdout.is_empty());
    let text = String::from_utf8_lossy(&output.stderr);
    text.lines().last().unwrap_or_default().to_owned()
}

#[test]
fn a_missing_qemu_is_named() {
    let bin = tempfile::tempdir().unwrap();
    for arguments in [&["run", "--mode", "none"][..], &["matrix"]] {
        let output = tessera(bin.path(), arguments);
        let line = last_line(&output);
        assert!(line.contains("qemu-system-x86_64 is not on PATH"), "{line}");
        assert!(line.contains("at fault: this machine"), "{line}");
        assert_eq!(
            output.stderr.iter().filter(|byte| **byte == b'\n').count(),
            1
        );
    }
}

#[test]
fn an_old_qemu_is_named_with_the_version_that_is_needed() {
    let bin = tempfile::tempdir().unwrap();
    let qemu = bin.path().join("qemu-system-x86_64");
    let one = ONE.lock().unwrap_or_else(PoisonError::into_inner);
    fs::write(&qemu, "#!/bin/sh\necho 'QEMU emulator version 6.2.0'\n").unwrap();
    fs::set_permissions(&qemu, fs::Permissions::from_mode(0o755)).unwrap();
    drop(one);
    let line = last_line(&tessera(bin.path(), &["run", "--mode", "none"]));
    assert!(
        line.contains("QEMU 6.2, too old") && line.contains("7.2 or newer"),
        "{line}"
    );
}

#[test]
fn a_build_without_a_toolchain_writes_nothing() {
    let empty = tempfile::tempdir().unwrap();
    let out = empty.path().join("out");
    let line = last_line(&tessera(
        empty.path(),
        &["build", "--out", out.to_str().unwrap()],
    ));
    assert!(line.contains("no way to build for bare metal"), "{line}");
    assert_eq!(fs::read_dir(empty.path()).unwrap().count(), 0);
}

#[test]
fn a_check_tells_what_is_missing_and_installs_nothing() {
    let empty = tempfile::tempdir().unwrap();
    for arguments in [&["setup", "--check"][..], &["--no-install"]] {
        let output = tessera(empty.path(), arguments);
        let line = last_line(&output);
        assert!(line.contains("something is missing"), "{line}");
        let text = String::from_utf8_lossy(&output.stderr);
        assert!(text.starts_with("Missing on this machine:"), "{text}");
    }
}

#[test]
fn an_answer_that_cannot_be_written_is_a_failure() {
    let full = fs::OpenOptions::new()
        .write(true)
        .open("/dev/full")
        .unwrap();
    let output = Command::new(env!("CARGO_BIN_EXE_tessera"))
        .arg("explain")
        .stdout(full)
        .output()
        .expect("the program starts");
    let line = last_line(&output);
    assert!(line.contains("no space left on device"), "{line}");
}
