//! Good input: help that names every subcommand, a version with a commit.

use std::process::Command;

fn says(arguments: &[&str]) -> String {
    let output = Command::new(env!("CARGO_BIN_EXE_tessera"))
        .args(arguments)
        .output()
        .expect("the program starts");
    assert!(output.status.success(), "{arguments:?}");
    String::from_utf8(output.stdout).unwrap()
}

#[test]
fn the_version_has_a_commit() {
    let text = says(&["--version"]);
    let (name, rest) = text.trim().split_once(' ').unwrap();
    let (version, commit) = rest.split_once(' ').unwrap();
    assert_eq!((name, version), ("tessera", env!("CARGO_PKG_VERSION")));
    let digits = commit.trim_matches(['(', ')']);
    let known = digits.len() == 12 && digits.chars().all(|digit| digit.is_ascii_hexdigit());
    assert!(known || digits == "commit unknown", "{text}");
}

#[test]
fn help_names_every_subcommand() {
    let text = says(&["--help"]);
    for name in [
        "demo", "setup", "build", "inspect", "measure", "run", "matrix", "bench", "explain",
        "clean",
    ] {
        assert!(text.contains(name), "{name} is missing in {text}");
        assert!(says(&[name, "--help"]).contains("Usage:"));
    }
}

#[test]
fn explain_tells_cause_fault_and_remedy() {
    let text = says(&["explain", "debug-forbidden"]);
    for word in ["cause:", "at fault: host", "remedy:"] {
        assert!(text.contains(word), "{text}");
    }
}

#[test]
fn the_list_of_boots_needs_no_build() {
    let text = says(&["matrix", "--list", "--mode", "none"]);
    assert!(text.contains("friendly"), "{text}");
    // Without a choice of rows the whole is everything, stock Linux too.
    let linux = |words: &[&str]| says(words).matches("stock-linux-").count();
    assert_eq!(
        linux(&["matrix", "--list", "--full"]),
        tessera_matrix::stock::BOOTS.len()
    );
    assert_eq!(linux(&["matrix", "--list"]), 0);
    assert_eq!(linux(&["matrix", "--list", "--full", "--mode", "none"]), 0);
}
