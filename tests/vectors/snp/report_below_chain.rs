//! Checks linux_report.bin, a report that Debian's Linux read in `snp` on the test host through
//! its kernel (`cargo test -p tessera-matrix --test linux "snp kvm"` keeps it in `target/tmp`), with
//! the crate `sev` 8.0.0 (Apache-2.0): parses it, verifies authority/{ark,ask,vcek}.der as a chain of
//! AMD's form, and the report below it; a report with one bit changed is refused. Not part of
//! the workspace: the crate depends on one under MPL-2.0 (`option-ext`).
//!
//! ```sh
//! cargo new by-sev && cd by-sev && cargo add sev@8.0.0 --no-default-features --features snp,crypto_nossl
//! cp .../tests/vectors/snp/report_below_chain.rs src/main.rs && cargo run -- .../tests/vectors/snp
//! ```

use sev::certs::snp::{Certificate, Chain, Verifiable, ca};
use sev::{firmware::guest::AttestationReport, parser::ByteParser};

fn main() {
    let folder = std::env::args().nth(1).unwrap();
    let read = |name: &str| std::fs::read(format!("{folder}/{name}")).unwrap();
    let certificate =
        |name: &str| Certificate::from_der(&read(&format!("authority/{name}.der"))).unwrap();
    let chain = Chain {
        ca: ca::Chain {
            ark: certificate("ark"),
            ask: certificate("ask"),
        },
        vek: certificate("vcek"),
    };
    let bytes = read("linux_report.bin");
    let report = AttestationReport::from_bytes(&bytes).unwrap();
    (&chain, &report).verify().unwrap();
    let mut changed = bytes;
    changed[0x50] ^= 1;
    let changed = AttestationReport::from_bytes(&changed).unwrap();
    assert!((&chain, &changed).verify().is_err());
    println!("version {}, vmpl {}, verified", report.version, report.vmpl);
}
