//! The security processor against requests that OpenSSL encrypted, and its signature's form
//! against a report of real hardware.

use super::*;
use crate::silicon::snp::report::test_authority;
use p384::ecdsa::{Signature as Ecdsa, VerifyingKey, signature::Verifier};
use std::{string::String, vec};
use tessera_defs::snp::{
    message::{KeyResponse, ReportResponse, field, status},
    report::{AttestationReport, SIGNED},
};

const MESSAGES: &str = include_str!("../../../../vectors/snp/messages.json");
const MILAN: &str = include_str!("../../../../vectors/snp/report_milan.json");

/// The value of `name` after `from` in one of the two files.
fn hex(text: &str, from: &str, name: &str) -> Vec<u8> {
    let (_, rest) = text.split_once(from).unwrap();
    let (_, rest) = rest.split_once(&std::format!("\"{name}\": \"")).unwrap();
    let text: String = rest.chars().take_while(|c| *c != '"').collect();
    let pair = |at| u8::from_str_radix(&text[at..at + 2], 16).unwrap();
    (0..text.len()).step_by(2).map(pair).collect()
}

/// The keys of the vectors' script.
fn keys() -> [[u8; 32]; 4] {
    core::array::from_fn(|n| core::array::from_fn(|i| ((i * 7 + 100 + n) % 251) as u8))
}

fn processor() -> SecurityProcessor {
    let guest = Guest {
        policy: 0x3_0000,
        measurement: [9; 48],
        report_id: [8; 32],
    };
    SecurityProcessor::new(keys(), guest)
}

fn page(message: &[u8]) -> [u8; PAGE] {
    let mut page = [0; PAGE];
    page[..message.len()].copy_from_slice(message);
    page
}

fn message(kind: u8, vmpck: u8, number: u64, payload: &[u8]) -> [u8; PAGE] {
    sealed(&keys()[usize::from(vmpck)], kind, vmpck, number, payload)
}

fn opened(vmpck: usize, page: &[u8; PAGE]) -> (MessageHeader, Vec<u8>) {
    let header = MessageHeader::read_from_bytes(&page[..HEADER]).unwrap();
    let mut payload = page[HEADER..HEADER + usize::from(header.msg_size)].to_vec();
    open(&keys()[vmpck], &header, &mut payload).unwrap();
    (header, payload)
}

/// The signature as the crate of others has it: the format of the report undone.
fn signature(report: &AttestationReport) -> Ecdsa {
    let number = |bytes: &[u8; 72]| -> [u8; 48] {
        assert_eq!(bytes[48..], [0; 24]);
        core::array::from_fn(|i| bytes[47 - i])
    };
    let (r, s) = (number(&report.signature.r), number(&report.signature.s));
    Ecdsa::from_scalars(r, s).unwrap()
}

#[test]
fn a_request_that_openssl_made_gets_a_signed_report() {
    let mut processor = processor();
    let request = page(&hex(MESSAGES, "\"report request\"", "message"));
    let (header, payload) = opened(0, &processor.request(&request).unwrap());
    assert_eq!((header.msg_seqno, header.msg_type), (2, kind::REPORT_RSP));
    let response = ReportResponse::read_from_bytes(&payload).unwrap();
    assert_eq!(
        (response.status, response.report_size),
        (status::SUCCESS, 0x4A0)
    );
    let report = response.report;
    let data = &hex(MESSAGES, "\"report request\"", "payload")[..64];
    assert_eq!(report.report_data, data);
    assert_eq!((report.policy, report.measurement), (0x3_0000, [9; 48]));
    let signed = &report.as_bytes()[..SIGNED];
    test_authority()
        .verify(signed, &signature(&report))
        .unwrap();
    let issued = processor.issued();
    assert_eq!((issued.len(), issued[0].vmpl), (1, 0));
    assert_eq!(issued[0].report_data, data);
}

#[test]
fn the_form_of_the_signature_is_that_of_real_hardware() {
    let report = AttestationReport::read_from_bytes(&hex(MILAN, "", "report")).unwrap();
    let vcek = VerifyingKey::from_sec1_bytes(&hex(MILAN, "", "vcek")).unwrap();
    vcek.verify(&report.as_bytes()[..SIGNED], &signature(&report))
        .unwrap();
    let mut other = report;
    other.policy ^= 1 << 19;
    let changed = vcek.verify(&other.as_bytes()[..SIGNED], &signature(&report));
    assert!(changed.is_err());
}

#[test]
fn numbers_must_be_the_next_and_each_key_counts_for_itself() {
    let mut processor = processor();
    let report = [0; 0x60];
    let ask = |number| message(kind::REPORT_REQ, 0, number, &report);
    assert_eq!(processor.request(&ask(2)), Err(firmware::AEAD_OFLOW));
    assert!(processor.request(&ask(1)).is_ok());
    assert_eq!(processor.request(&ask(1)), Err(firmware::AEAD_OFLOW));
    assert!(processor.request(&ask(3)).is_ok());
    let mut other = report;
    other[0x40] = 3;
    assert!(
        processor
            .request(&message(kind::REPORT_REQ, 3, 1, &other))
            .is_ok()
    );
    assert_eq!(processor.issued().len(), 3);
}

#[test]
fn what_is_no_message_has_the_firmwares_error() {
    let mut processor = processor();
    let good = message(kind::REPORT_REQ, 0, 1, &[0; 0x60]);
    let with = |at: usize, value: u8| {
        let mut page = good;
        page[at] = value;
        page
    };
    for (at, value) in [
        (0x30, 2),
        (0x31, 2),
        (0x32, 0),
        (0x36, 0),
        (0x36, 8),
        (0x37, 0xFF),
        (0x3C, 4),
    ] {
        assert_eq!(
            processor.request(&with(at, value)),
            Err(firmware::INVALID_PARAM),
            "{at:#x}"
        );
    }
    for (at, value) in [
        (0, good[0] ^ 1),
        (0x20, 3),
        (0x34, 3),
        (0x3C, 1),
        (0x50, 1),
        (0x60, good[0x60] ^ 1),
    ] {
        assert_eq!(
            processor.request(&with(at, value)),
            Err(firmware::BAD_MEASUREMENT),
            "{at:#x}"
        );
    }
    let unknown = processor.request(&message(7, 0, 1, &[0; 16]));
    assert_eq!(unknown, Err(firmware::INVALID_PARAM));
    assert!(processor.issued().is_empty());
    assert!(
        processor.request(&good).is_ok(),
        "nothing of this was counted"
    );
}

#[test]
fn a_vmpl_may_name_itself_and_what_is_below() {
    for (sender, vmpl, allowed) in [
        (0, 0, true),
        (0, 3, true),
        (2, 2, true),
        (2, 1, false),
        (2, 0, false),
        (0, 4, false),
    ] {
        let mut payload = [0; 0x60];
        payload[0x40] = vmpl;
        let reply = processor()
            .request(&message(kind::REPORT_REQ, sender, 1, &payload))
            .unwrap();
        let (_, payload) = opened(sender.into(), &reply);
        let expected = if allowed {
            status::SUCCESS
        } else {
            status::INVALID_PARAMETERS
        };
        let response = ReportResponse::read_from_bytes(&payload).unwrap();
        assert_eq!(response.status, expected, "{sender} {vmpl}");
        assert_eq!(response.report.version != 0, allowed);
    }
}

#[test]
fn keys_depend_on_what_was_selected() {
    let key = |policy: u64, fields: u64, vmpl: u8| {
        let mut payload = vec![0; 0x20];
        payload[8..16].copy_from_slice(&fields.to_le_bytes());
        payload[0x10] = vmpl;
        let mut processor = processor();
        processor.guest.policy = policy;
        let reply = processor
            .request(&message(kind::KEY_REQ, 0, 1, &payload))
            .unwrap();
        let response = KeyResponse::read_from_bytes(&opened(0, &reply).1).unwrap();
        (response.status, response.derived_key)
    };
    assert_eq!(key(1, field::MEASUREMENT, 0), key(2, field::MEASUREMENT, 0));
    let policy = field::MEASUREMENT | field::GUEST_POLICY;
    assert_ne!(key(1, policy, 0), key(2, policy, 0));
    assert_ne!(key(1, policy, 0), key(1, policy, 2));
    assert_ne!(key(1, 0, 0), key(1, field::MEASUREMENT, 0));
    assert_eq!(key(1, 1 << 6, 0), (status::INVALID_PARAMETERS, [0; 32]));
}

/// A second opinion: the crate `sev` parses the report and verifies it below `tests/vectors/snp/authority`.
#[test]
fn the_crate_sev_verifies_the_report_below_the_authority() {
    use sev::{certs::snp as chain, firmware::guest::AttestationReport as Report};
    use sev::{certs::snp::Verifiable, parser::ByteParser};
    macro_rules! certificate {
        ($name:literal) => {
            chain::Certificate::from_der(include_bytes!(concat!(
                "../../../../vectors/snp/authority/",
                $name,
                ".der"
            )))
            .unwrap()
        };
    }
    let (ark, ask) = (certificate!("ark"), certificate!("ask"));
    let chain = chain::Chain {
        ca: chain::ca::Chain { ark, ask },
        vek: certificate!("vcek"),
    };
    let request = page(&hex(MESSAGES, "\"report request\"", "message"));
    let (_, payload) = opened(0, &processor().request(&request).unwrap());
    let response = ReportResponse::read_from_bytes(&payload).unwrap();
    let mut bytes = response.report.as_bytes().to_vec();
    let report = Report::from_bytes(&bytes).unwrap();
    assert_eq!(report.measurement, [9; 48]);
    let vcek = include_bytes!("../../../../vectors/snp/authority/vcek.der");
    assert!(vcek.windows(64).any(|hw_id| hw_id == report.chip_id));
    (&chain, &report).verify().unwrap();
    bytes[0x50] ^= 1;
    let changed = Report::from_bytes(&bytes).unwrap();
    assert!((&chain, &changed).verify().is_err());
}
