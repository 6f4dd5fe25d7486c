//! The attestation report's layout against a report of real hardware, as the crate `sev` reads
//! it (`tests/vectors/snp/report_by_sev.rs`).

use serde_json::Value;
use tessera_defs::snp::report::{ALGO_ECDSA_P384_SHA384, AttestationReport, VERSION};
use tessera_defs::snp::status::{POLICY_DEBUG, POLICY_RESERVED_ONE, POLICY_SMT};
use zerocopy::FromBytes;

fn bytes(value: &Value) -> Vec<u8> {
    let hex = value.as_str().unwrap();
    let pair = |at| u8::from_str_radix(&hex[at..at + 2], 16).unwrap();
    (0..hex.len()).step_by(2).map(pair).collect()
}

#[test]
fn a_report_of_real_hardware_is_read_as_others_read_it() {
    let text = include_str!("../../../tests/vectors/snp/report_milan.json");
    let theirs: Value = serde_json::from_str(text).unwrap();
    let ours = AttestationReport::read_from_bytes(&bytes(&theirs["report"])).unwrap();
    let fields: [(&str, &[u8]); 12] = [
        ("family_id", &ours.family_id),
        ("image_id", &ours.image_id),
        ("report_data", &ours.report_data),
        ("measurement", &ours.measurement),
        ("host_data", &ours.host_data),
        ("id_key_digest", &ours.id_key_digest),
        ("author_key_digest", &ours.author_key_digest),
        ("report_id", &ours.report_id),
        ("report_id_ma", &ours.report_id_ma),
        ("chip_id", &ours.chip_id),
        ("signature_r", &ours.signature.r),
        ("signature_s", &ours.signature.s),
    ];
    for (name, value) in fields {
        assert_eq!(bytes(&theirs[name]), value, "{name}");
    }
    let [bootloader, _, _, _, _, _, snp, microcode] = ours.current_tcb.to_le_bytes();
    let numbers = [
        ("version", ours.version.into()),
        ("guest_svn", ours.guest_svn.into()),
        ("policy", ours.policy),
        ("signature_algo", ours.signature_algo.into()),
        ("platform_info", ours.platform_info),
        ("current_bootloader", bootloader.into()),
        ("current_snp", snp.into()),
        ("current_microcode", microcode.into()),
        ("vmpl", ours.vmpl.into()),
    ];
    for (name, value) in numbers {
        assert_eq!(theirs[name].as_u64(), Some(value), "{name}");
    }
    assert_eq!(
        (ours.version, ours.signature_algo),
        (VERSION, ALGO_ECDSA_P384_SHA384)
    );
    assert_eq!(ours.policy, POLICY_RESERVED_ONE | POLICY_SMT);
    assert_eq!(ours.policy & POLICY_DEBUG, 0);
}
