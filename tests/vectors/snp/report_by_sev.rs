//! Makes report_milan.json: a report of real hardware (Milan) as the crate `sev` 8.0.0 reads it
//! (Apache-2.0, https://github.com/virtee/sev). Report and VCEK certificate are that project's test
//! data, `tests/certs_data/report_milan.hex` and `vcek_milan.der`, in the published crate.
//! Not part of the workspace: the crate depends on one under MPL-2.0 (`option-ext`).
//!
//! ```sh
//! cargo new by-sev && cd by-sev && cargo add sev@8.0.0 --no-default-features --features snp
//! cargo add hex@0.4 && cp .../tests/vectors/snp/report_by_sev.rs src/main.rs
//! D=~/.cargo/registry/src/*/sev-8.0.0/tests/certs_data
//! openssl x509 -inform der -in $D/vcek_milan.der -noout -pubkey | openssl pkey -pubin \
//!     -outform der | tail -c 97 | xxd -p -c 97 > vcek.hex   # the point, SEC1 uncompressed
//! cargo run -- $D/report_milan.hex vcek.hex > .../tests/vectors/snp/report_milan.json
//! ```

use sev::{firmware::guest::AttestationReport, parser::ByteParser};

fn main() {
    let file = |n| std::fs::read_to_string(std::env::args().nth(n).unwrap()).unwrap();
    let (bytes, vcek) = (hex::decode(file(1).trim()).unwrap(), file(2));
    let r = AttestationReport::from_bytes(&bytes).unwrap();
    let text = |name: &str, value: &[u8]| println!(" \"{name}\": \"{}\",", hex::encode(value));
    println!("{{");
    text("report", &bytes);
    text("vcek", &hex::decode(vcek.trim()).unwrap());
    text("family_id", &r.family_id);
    text("image_id", &r.image_id);
    text("report_data", &r.report_data);
    text("measurement", &r.measurement);
    text("host_data", &r.host_data);
    text("id_key_digest", &r.id_key_digest);
    text("author_key_digest", &r.author_key_digest);
    text("report_id", &r.report_id);
    text("report_id_ma", &r.report_id_ma);
    text("chip_id", &r.chip_id);
    text("signature_r", r.signature.r());
    text("signature_s", r.signature.s());
    let number = |name: &str, value: u64| println!(" \"{name}\": {value},");
    number("version", r.version.into());
    number("guest_svn", r.guest_svn.into());
    number("policy", r.policy.into());
    number("signature_algo", r.sig_algo.into());
    number("platform_info", r.plat_info.into());
    number("current_bootloader", r.current_tcb.bootloader.into());
    number("current_snp", r.current_tcb.snp.into());
    number("current_microcode", r.current_tcb.microcode.into());
    println!(" \"vmpl\": {}\n}}", r.vmpl);
}
