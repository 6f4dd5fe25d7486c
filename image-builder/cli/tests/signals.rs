//! A signal to stop ends QEMU too, and leaves no file behind. Boots for real, so it needs what the
//! matrix needs.

use std::{
    fs,
    io::{BufRead, BufReader, Lines},
    path::Path,
    process::{Child, ChildStderr, Command, Stdio},
    thread::sleep,
    time::{Duration, Instant},
};

/// `tessera run` that waits for a debugger for ever, and its further messages.
fn waiting(temporary: &Path) -> (Child, Lines<BufReader<ChildStderr>>) {
    let mut child = Command::new(env!("CARGO_BIN_EXE_tessera"))
        .args(["run", "--mode", "none", "--gdb", "0"])
        .env("TMPDIR", temporary)
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::piped())
        .spawn()
        .expect("the program starts");
    let mut lines = BufReader::new(child.stderr.take().unwrap()).lines();
    let waits = |line: &String| line.starts_with("waiting for");
    lines
        .by_ref()
        .map(|line| line.unwrap())
        .find(waits)
        .expect("it waits");
    (child, lines)
}

/// Waits until `done`, at most some seconds.
fn within(seconds: u64, mut done: impl FnMut() -> bool) -> bool {
    let start = Instant::now();
    while start.elapsed() < Duration::from_secs(seconds) {
        if done() {
            return true;
        }
        sleep(Duration::from_millis(20));
    }
    false
}

fn stops_at(signal: &str) {
    let temporary = tempfile::tempdir().unwrap();
    let (mut tessera, mut lines) = waiting(temporary.path());
    let pid = tessera.id();
    let children = format!("/proc/{pid}/task/{pid}/children");
    let qemu = || fs::read_to_string(&children).unwrap_or_default();
    assert!(within(20, || !qemu().trim().is_empty()), "no QEMU");
    let qemu = Path::new("/proc").join(qemu().trim());
    assert!(qemu.exists());
    let sent = Command::new("kill")
        .args([signal, &pid.to_string()])
        .status();
    assert!(sent.unwrap().success());
    let mut status = None;
    assert!(within(20, || {
        status = tessera.try_wait().unwrap();
        status.is_some()
    }));
    assert_eq!(status.and_then(|status| status.code()), Some(1));
    let said = lines.next().unwrap().unwrap();
    assert!(said.contains("stopped by a signal"), "{said}");
    assert!(!qemu.exists(), "QEMU is still there");
    let left: Vec<_> = fs::read_dir(temporary.path()).unwrap().collect();
    assert!(left.is_empty(), "{left:?}");
}

#[test]
fn an_interrupt_leaves_no_qemu_and_no_file() {
    stops_at("-INT");
}

#[test]
fn a_termination_leaves_no_qemu_and_no_file() {
    stops_at("-TERM");
}
