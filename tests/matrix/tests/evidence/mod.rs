//! Evidence that a guest read through its kernel, verified as its owner would: a report of the
//! security processor with `sev` below the test authority's chain, a quote with `dcap-qvl` under its root.

use dcap_qvl::{QuoteCollateralV3, verify::QuoteVerifier};
use sev::{
    certs::snp::{Certificate, Chain, Verifiable, ca},
    firmware::guest::AttestationReport,
    parser::ByteParser,
};
use tessera_defs::snp::certificates;

const SNP: [(&[u8; 16], &[u8]); 3] = [
    (
        &certificates::VCEK,
        include_bytes!("../../../vectors/snp/authority/vcek.der"),
    ),
    (
        &certificates::ASK,
        include_bytes!("../../../vectors/snp/authority/ask.der"),
    ),
    (
        &certificates::ARK,
        include_bytes!("../../../vectors/snp/authority/ark.der"),
    ),
];
const TDX_ROOT: &[u8] = include_bytes!("../../../vectors/tdx/authority/root.der");
const COLLATERAL: &str = include_str!("../../../vectors/tdx/authority/collateral.json");
/// 2026-01-01, when the test host's time begins.
const NOW: u64 = 1_767_225_600;
/// REPORT_DATA and measurement of a report whose signature and certificates are the authority's.
pub fn snp(report: &[u8], table: &[u8]) -> Result<([u8; 64], [u8; 48]), String> {
    for (guid, expected) in SNP {
        let found = certificate(table, guid).ok_or("a certificate is missing")?;
        if found != expected {
            return Err("a certificate is not the test authority's".into());
        }
    }
    let parsed = below(SNP.map(|(_, bytes)| bytes), report)?;
    let changed: Vec<u8> = (0..)
        .zip(report)
        .map(|(at, byte)| byte ^ u8::from(at == 0x50))
        .collect();
    match below(SNP.map(|(_, bytes)| bytes), &changed) {
        Ok(_) => Err("sev takes a report that was changed".into()),
        Err(_) => Ok((parsed.report_data, parsed.measurement)),
    }
}

/// A report that the crate `sev` parses and verifies below VCEK, ASK and ARK, each in DER.
fn below(certificates: [&[u8]; 3], report: &[u8]) -> Result<AttestationReport, String> {
    let words = |error: std::io::Error| error.to_string();
    let [vek, ask, ark] = certificates.map(Certificate::from_der);
    let ca = ca::Chain {
        ark: ark.map_err(words)?,
        ask: ask.map_err(words)?,
    };
    let chain = Chain {
        ca,
        vek: vek.map_err(words)?,
    };
    let parsed = AttestationReport::from_bytes(report).map_err(|error| error.to_string())?;
    (&chain, &parsed).verify().map_err(words)?;
    Ok(parsed)
}

/// The certificate of the table with this GUID.
fn certificate<'a>(table: &'a [u8], guid: &[u8; 16]) -> Option<&'a [u8]> {
    let entry = table
        .chunks_exact(24)
        .find(|entry| entry[..16] == guid[..])?;
    let word = |at: usize| u32::from_le_bytes(std::array::from_fn(|i| entry[at + i])) as usize;
    table.get(word(16)..)?.get(..word(20))
}

/// REPORT_DATA and MRTD of a quote that `dcap-qvl` verifies.
pub fn tdx(quote: &[u8]) -> Result<([u8; 64], [u8; 48]), String> {
    let words = |error| format!("{error:#}");
    let value: serde_json::Value =
        serde_json::from_str(COLLATERAL).map_err(|error| error.to_string())?;
    let text = |name: &str| value[name].as_str().unwrap_or_default().to_owned();
    let bytes = |name: &str| hex(&text(name));
    let collateral = QuoteCollateralV3 {
        pck_crl_issuer_chain: text("pck_crl_issuer_chain"),
        root_ca_crl: bytes("root_ca_crl"),
        pck_crl: bytes("pck_crl"),
        tcb_info_issuer_chain: text("tcb_info_issuer_chain"),
        tcb_info: text("tcb_info"),
        tcb_info_signature: bytes("tcb_info_signature"),
        qe_identity_issuer_chain: text("qe_identity_issuer_chain"),
        qe_identity: text("qe_identity"),
        qe_identity_signature: bytes("qe_identity_signature"),
        pck_certificate_chain: None,
    };
    let verified = QuoteVerifier::new(TDX_ROOT.to_vec())
        .verify(quote, &collateral, NOW)
        .map_err(words)?;
    if verified.status != "UpToDate" {
        return Err(format!("its status is {}", verified.status));
    }
    let report = verified.report.as_td10().ok_or("it is no TD's")?;
    Ok((report.report_data, report.mr_td))
}

/// Bytes of hexadecimal digits.
pub fn hex(text: &str) -> Vec<u8> {
    let digit = |at: usize| u8::from_str_radix(text.get(at..at + 2)?, 16).ok();
    (0..text.len()).step_by(2).filter_map(digit).collect()
}

/// Bytes of base 64 (RFC 4648).
pub fn base64(text: &str) -> Vec<u8> {
    const DIGITS: &[u8] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    let mut out = Vec::with_capacity(text.len() * 3 / 4);
    let (mut word, mut bits) = (0u32, 0);
    for byte in text.bytes().take_while(|byte| *byte != b'=') {
        let digit = DIGITS.iter().position(|digit| *digit == byte);
        word = word << 6 | digit.unwrap_or(0) as u32;
        bits += 6;
        if bits >= 8 {
            bits -= 8;
            out.push((word >> bits) as u8);
            word &= (1 << bits) - 1;
        }
    }
    out
}
