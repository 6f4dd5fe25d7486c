//! Every system call has checks in a guest (`userland/init/src/checks`): each error that its line in
//! `number.rs` documents, as far as arguments alone provoke it, is expected of it somewhere.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};
use tessera_abi::error::Error;

/// What no arguments provoke: it takes another thread, a host, a full table or an empty machine.
/// `checks/table.rs`, `threads.rs` and `devices.rs` have those that a guest can bring about.
const NOT_BY_ARGUMENTS: [&str; 9] = [
    "AlreadyMapped",
    "Busy",
    "Cancelled",
    "HostRefused",
    "NotCreatable",
    "OutOfMemory",
    "PeerDied",
    "TableFull",
    "Unattested",
];
/// What is tried elsewhere: `threads.rs` has a thread to cancel, `devices.rs` knows whether there is
/// evidence; nothing is charged for a mapping yet.
const ELSEWHERE: [(&str, &str); 3] = [
    ("CANCEL", "NoRight"),
    ("EVIDENCE", "TooShort"),
    ("MAP", "QuotaExceeded"),
];
/// Names of arguments that are handles of one kind.
const HANDLES: [&str; 11] = [
    "endpoint",
    "notification",
    "interrupt",
    "channel",
    "evidence",
    "inspection",
    "thread",
    "space",
    "region",
    "pager",
    "source",
];

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../..")
}

/// Calls by name, with their documentation: constants whose documentation begins with a signature, or
/// says which call they are like.
fn calls() -> BTreeMap<String, (u64, String)> {
    let text = fs::read_to_string(root().join("kernel/abi/src/number.rs")).unwrap();
    let (mut calls, mut docs) = (BTreeMap::new(), String::new());
    for line in text.lines() {
        if let Some(doc) = line.strip_prefix("///") {
            docs += doc;
            continue;
        }
        let first = docs.trim_start();
        let signature = first
            .strip_prefix('`')
            .and_then(|rest| rest.split_once('('));
        let is_call = first.starts_with("As `")
            || signature
                .is_some_and(|(name, _)| name.chars().all(|c| c.is_lowercase() || c == '_'));
        let value = line
            .strip_prefix("pub const ")
            .and_then(|rest| rest.split_once(": u64 = "));
        if let (true, Some((name, number))) = (is_call, value) {
            let number = number.trim_end_matches(';').parse().unwrap();
            calls.insert(name.to_owned(), (number, docs.clone()));
        }
        docs.clear();
    }
    calls
}

/// Errors that a call's documentation names, or implies.
fn documented(docs: &str) -> BTreeSet<&'static str> {
    let names = Error::ALL.map(|error| -> &'static str { Box::leak(format!("{error:?}").into()) });
    let named = |name: &&str| docs.contains(&format!("`{name}`"));
    let mut errors: BTreeSet<_> = names.into_iter().filter(named).collect();
    let signature = docs
        .split_once('(')
        .and_then(|(_, rest)| rest.split_once(')'));
    let arguments = signature.map_or("", |(arguments, _)| arguments);
    let mut arguments = arguments.split([',', ':', ' ']);
    if arguments.clone().any(|word| HANDLES.contains(&word)) {
        errors.extend(["BadHandle", "WrongKind"]);
    }
    if arguments.any(|word| word == "handle") {
        errors.insert("BadHandle");
    }
    if docs.contains("Right: `") || docs.contains("Rights: `") {
        errors.insert("NoRight");
    }
    errors.retain(|error| !NOT_BY_ARGUMENTS.contains(error));
    // What every call has that takes no timeout.
    if errors.is_empty() {
        errors.insert("UnknownCall");
    }
    errors
}

/// Arguments of each `check(..)` in the guest's checks: number and error.
fn checks() -> Vec<(String, String)> {
    let folder = root().join("userland/init/src/checks");
    let mut found = Vec::new();
    for entry in fs::read_dir(folder).unwrap() {
        let text = fs::read_to_string(entry.unwrap().path()).unwrap();
        for (at, _) in text.match_indices("check(") {
            let arguments = arguments(&text[at + "check(".len()..]);
            if let [_, number, .., error] = &arguments[..] {
                found.push((number.clone(), error.clone()));
            }
        }
    }
    found
}

/// What stands between commas, up to the parenthesis that closes.
fn arguments(text: &str) -> Vec<String> {
    let (mut depth, mut quoted, mut all) = (0, false, vec![String::new()]);
    for c in text.chars() {
        match c {
            '"' => quoted = !quoted,
            '(' | '[' if !quoted => depth += 1,
            ')' | ']' if !quoted && depth == 0 => break,
            ')' | ']' if !quoted => depth -= 1,
            ',' if !quoted && depth == 0 => {
                all.push(String::new());
                continue;
            }
            _ => {}
        }
        all.last_mut().unwrap().push(c);
    }
    let all = all.into_iter().map(|one| one.trim().to_owned());
    all.filter(|one| !one.is_empty()).collect()
}

fn names(expression: &str, call: &str) -> bool {
    let word = |c: char| !(c.is_alphanumeric() || c == '_');
    expression.split(word).any(|name| name == call)
}

#[test]
fn every_call_is_checked_for_every_error_that_arguments_provoke() {
    let (calls, checks) = (calls(), checks());
    assert!(
        calls.len() >= 33 && checks.len() > 150,
        "the sources are read wrongly"
    );
    let mut missing = Vec::new();
    for (call, (_, docs)) in &calls {
        // A short call is checked as its own; its documentation is the long one's.
        let like = docs
            .split('`')
            .nth(1)
            .filter(|_| docs.trim_start().starts_with("As `"));
        let docs = like.map_or(docs, |like| &calls[like].1);
        for error in documented(docs) {
            let has = |(number, expected): &(String, String)| {
                names(number, call) && names(expected, error)
            };
            if !checks.iter().any(has) && !ELSEWHERE.contains(&(call, error)) {
                missing.push(format!("{call}: {error}"));
            }
        }
    }
    assert!(missing.is_empty(), "no check in the guest: {missing:#?}");
}

#[test]
fn numbers_are_used_once() {
    let calls = calls();
    let numbers: BTreeSet<_> = calls.values().map(|(number, _)| number).collect();
    assert_eq!(numbers.len(), calls.len());
}
