//! The table of services becomes the manifest in the bundle, or is refused by name.

mod common;

use common::bundle;
use std::collections::BTreeMap;
use tessera_handoff::bundle::{Bundle, grant, name, restart};
use tessera_image_builder::Result;
use tessera_image_builder::image::bundle::{archive, with_argument};
use zerocopy::IntoBytes;

const GOOD: &str = r#"
[[service]]
name = "ledger"
program = "book"
quota = 64
priority = 10
restart = "always"
state = 2
argument = 300

[[service]]
name = "client"
program = "book"
quota = 32
priority = 9
restart = "never"
uses = ["ledger"]
ends = ["ledger"]
after = ["ledger"]
grants = ["inspection", "hold"]
shared = 16
channel = { kind = "ports", first = 0x3F8, count = 8 }
interrupt = { line = 4, level = true }
"#;

fn built(table: &str) -> Result<Vec<u8>> {
    let elf = bundle().bytes();
    let programs = BTreeMap::from([("book".to_owned(), elf.clone())]);
    archive(table, &elf, &programs)
}

#[test]
fn services_share_a_program_and_know_each_other() {
    let bytes = built(GOOD).unwrap();
    assert_eq!(bytes, built(GOOD).unwrap());
    let mut words = vec![0u64; bytes.len().div_ceil(8)];
    words.as_mut_bytes()[..bytes.len()].copy_from_slice(&bytes);
    let bundle = Bundle::parse(words.as_bytes()).unwrap();
    let [ledger, client] = bundle.services() else {
        panic!("two services")
    };
    assert_eq!(
        (name(&ledger.name), ledger.program, ledger.state),
        ("ledger", 1, 2)
    );
    assert_eq!((client.uses, client.ends, client.after), (1, 1, 1));
    assert_eq!(
        (ledger.restart, client.restart),
        (restart::ALWAYS, restart::NEVER)
    );
    let granted = grant::INSPECTION | grant::HOLD;
    assert_eq!(
        (client.grants, client.line, client.trigger),
        (granted, 5, 1)
    );
    assert_eq!((ledger.argument, client.argument), (300, 0));
    assert_eq!((ledger.shared, client.shared), (0, 16));
    let channel = client.channel;
    assert_eq!((channel.kind, channel.first, channel.count), (1, 0x3F8, 8));
    assert_eq!((ledger.grants, ledger.line, ledger.channel.kind), (0, 0, 0));
    assert!(bundle.file(1).unwrap().starts_with(b"\x7FELF"));
    assert!(bundle.file(2).is_none());
}

#[test]
fn another_argument_changes_nothing_else() {
    let bytes = built(GOOD).unwrap();
    let other = with_argument(&bytes, "client", 1000).unwrap();
    let changed: Vec<_> = (0..bytes.len())
        .filter(|at| bytes[*at] != other[*at])
        .collect();
    let same = built(&GOOD.replace("priority = 9", "priority = 9\nargument = 1000"));
    assert!(other == same.unwrap() && changed.len() == 2);
    assert!(with_argument(&bytes, "nobody", 1).is_err());
}

#[test]
fn a_bad_table_is_refused_in_one_line() {
    for (from, to, word) in [
        ("priority = 10", "priorty = 10", "priorty"),
        ("\"book\"", "\"bok\"", "bok"),
        ("uses = [\"ledger\"]", "uses = [\"leger\"]", "leger"),
        (
            "after = [\"ledger\"]",
            "after = [\"client\"]",
            "after itself",
        ),
        ("name = \"client\"", "name = \"Client\"", "Client"),
        ("\"hold\"", "\"everything\"", "everything"),
        ("\"ports\"", "\"wires\"", "wires"),
        ("shared = 16", "shared = 256", "256"),
        ("\"always\"", "\"sometimes\"", "sometimes"),
    ] {
        let failure = built(&GOOD.replacen(from, to, 1)).unwrap_err();
        let text = failure.to_string();
        assert!(text.contains(word) && !text.contains('\n'), "{text}");
    }
}
