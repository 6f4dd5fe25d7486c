//! Set-up on pretended machines: fake `rustup`, `rustc`, `apt-get` and QEMU on PATH.

#[path = "common/machine.rs"]
mod machine;

use machine::Machine;
use tessera_image_builder::{
    Party,
    setup::{Kind, Options, run},
};

/// What a successful `rustup target add` leaves behind.
const BRINGS: &str = "d=$BASE/sys/lib/rustlib/x86_64-unknown-none/lib\n\
                      /bin/mkdir -p $d && : > $d/libcore-0.rlib";
const FAILS: &str = "echo 'no network' >&2; exit 1";

fn options(check: bool, no_install: bool, offline: bool) -> Options {
    Options {
        check,
        no_install,
        offline,
    }
}

#[test]
fn rustup_brings_the_target_and_nothing_else_is_called() {
    let machine = Machine::with_rust("1.95.0").debian(FAILS).rustup(BRINGS);
    let ready = run(&machine.host, Options::default()).unwrap();
    assert_eq!(ready.toolchain.kind, Kind::Plain);
    assert_eq!(ready.toolchain.linker, None);
    assert_eq!(machine.log(), "rustup target add x86_64-unknown-none\n");
    run(&machine.host, options(true, false, false)).unwrap();
    assert_eq!(machine.log().lines().count(), 1, "a second set-up acted");
}

#[test]
fn a_rustup_that_may_not_download_is_left_alone() {
    let machine = Machine::with_rust("1.95.0").debian(FAILS).rustup(BRINGS);
    let machine = machine.set("RUSTUP_AUTO_INSTALL", "0");
    let failure = run(&machine.host, Options::default()).unwrap_err();
    assert_eq!(failure.party, Party::Machine);
    assert_eq!(machine.log(), "apt-get update\n");
}

#[test]
fn where_rustup_fails_debians_packages_are_next() {
    let body = "test \"$1\" = update || exit 1";
    let machine = Machine::with_rust("1.95.0").debian(body).rustup(FAILS);
    let failure = run(&machine.host, Options::default()).unwrap_err();
    assert!(failure.cause.contains("apt-get install"), "{failure}");
    let packages = "rustc-web cargo-web rust-web-src lld-22";
    assert_eq!(
        machine.log(),
        format!(
            "rustup target add x86_64-unknown-none\napt-get update\n\
             apt-get install --no-install-recommends -y {packages}\n"
        )
    );
}

#[test]
fn packages_that_bring_nothing_end_in_a_failure_not_in_a_loop() {
    let machine = Machine::with_rust("1.80.0").debian("exit 0");
    let failure = run(&machine.host, Options::default()).unwrap_err();
    assert!(failure.cause.contains("do not provide"), "{failure}");
}

#[test]
fn check_no_install_and_offline_call_nothing() {
    for options in [
        options(true, false, false),
        options(false, true, false),
        options(false, false, true),
    ] {
        let machine = Machine::with_rust("1.95.0").debian(FAILS).rustup(BRINGS);
        let failure = run(&machine.host, options).unwrap_err();
        assert_eq!(failure.party, Party::Machine, "{options:?}");
        assert_eq!(failure.to_string().lines().count(), 1);
        assert_eq!(machine.log(), "", "{options:?}");
    }
}

#[test]
fn an_old_compiler_is_not_taken() {
    let machine = Machine::with_rust("1.80.0").rustup(BRINGS);
    let failure = run(&machine.host, Options::default()).unwrap_err();
    assert!(failure.remedy.contains("or newer"), "{failure}");
    assert_eq!(machine.log(), "");
}

#[test]
fn without_root_a_terminal_or_sudo_nothing_is_installed() {
    let mut machine = Machine::with_rust("1.95.0").debian("exit 0");
    machine.host.uid = 1000;
    let failure = run(&machine.host, Options::default()).unwrap_err();
    assert!(failure.remedy.contains("as root"), "{failure}");
    assert_eq!(machine.log(), "");
    machine.script("sudo", "test \"$2\" = true && exit 0\nshift\nexec \"$@\"");
    run(&machine.host, Options::default()).unwrap_err();
    assert!(
        machine.log().contains("sudo -n apt-get update\n"),
        "{}",
        machine.log()
    );
}

#[test]
fn another_system_gets_a_list_and_no_installation() {
    let machine = Machine::bare();
    let failure = run(&machine.host, Options::default()).unwrap_err();
    assert!(failure.cause.contains("by hand"), "{failure}");
    assert_eq!(machine.log(), "");
}

#[test]
fn an_old_or_silent_qemu_is_named() {
    for (body, word) in [
        ("echo 'QEMU emulator version 6.2.0'", "7.2"),
        ("exit 1", "reinstall QEMU"),
    ] {
        let machine = Machine::with_rust("1.95.0").rustup(BRINGS);
        machine.script("qemu-system-x86_64", body);
        let failure = run(&machine.host, Options::default()).unwrap_err();
        assert!(failure.remedy.contains(word), "{failure}");
    }
}
