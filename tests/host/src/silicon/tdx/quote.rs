//! The quoting enclave: signs the reports of this module. Its key is one that everybody can read
//! here, certified by a **test authority** (`tests/vectors/tdx/authority.py`): quotes show the
//! protocol and the form, and prove nothing about any machine.
//! Source: Intel "TDX DCAP quoting library API", appendix A.3 (version 4, ECDSA-256).

use super::report::genuine;
use alloc::vec::Vec;
use p256::ecdsa::{Signature, SigningKey, signature::Signer};
use tessera_defs::tdx::{
    quote::{
        CERTIFICATION_QE_REPORT, KEY_ECDSA_P256, QE_VENDOR, QuoteBody, QuoteHeader, TEE_TDX,
        VERSION,
    },
    report::TdReport,
};
use zerocopy::{FromBytes, FromZeros, IntoBytes};

/// Attestation key: a number without secrets.
const TEST_KEY: [u8; 32] = *b"tessera test host: not a QE key.";
/// Report of the quoting enclave, its signature by the PCK, and the PCK chain.
const CERTIFICATION: &[u8] = include_bytes!("../../../../vectors/tdx/authority/certification.bin");

/// A quote over a TDREPORT; `None` where the bytes are none of this module's.
pub fn quote(report: &[u8]) -> Option<Vec<u8>> {
    let report = TdReport::read_from_bytes(report).ok().filter(genuine)?;
    let mut header = QuoteHeader::new_zeroed();
    (header.version, header.attestation_key_type) = (VERSION, KEY_ECDSA_P256);
    (header.tee_type, header.qe_vendor_id) = (TEE_TDX, QE_VENDOR);
    let mut out = Vec::with_capacity(8192);
    out.extend_from_slice(header.as_bytes());
    out.extend_from_slice(body(&report).as_bytes());
    let key = SigningKey::from_slice(&TEST_KEY).ok()?;
    let signature: Signature = key.sign(&out);
    let point = key.verifying_key().to_sec1_point(false);
    let signed = 64 + 64 + 6 + CERTIFICATION.len();
    out.extend_from_slice(&(signed as u32).to_le_bytes());
    out.extend_from_slice(&signature.to_bytes());
    out.extend_from_slice(point.as_bytes().get(1..)?);
    out.extend_from_slice(&CERTIFICATION_QE_REPORT.to_le_bytes());
    out.extend_from_slice(&(CERTIFICATION.len() as u32).to_le_bytes());
    out.extend_from_slice(CERTIFICATION);
    Some(out)
}

/// TEE_TCB_INFO: 8 bytes of valid flags, then SVN, MRSEAM, MRSIGNERSEAM, attributes.
fn body(report: &TdReport) -> QuoteBody {
    let (tcb, info) = (&report.tee_tcb_info, &report.td_info);
    let mut body = QuoteBody::new_zeroed();
    body.tee_tcb_svn.copy_from_slice(&tcb[8..24]);
    body.mrseam.copy_from_slice(&tcb[24..72]);
    body.mrsignerseam.copy_from_slice(&tcb[72..120]);
    body.seam_attributes.copy_from_slice(&tcb[120..128]);
    (body.td_attributes, body.xfam) = (info.attributes, info.xfam);
    (body.mrtd, body.mrconfigid) = (info.mrtd, info.mrconfigid);
    (body.mrowner, body.mrownerconfig) = (info.mrowner, info.mrownerconfig);
    (body.rtmr, body.report_data) = (info.rtmr, report.mac.report_data);
    body
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::silicon::tdx::{report, td::Td};

    #[test]
    fn only_the_modules_own_reports_are_signed() {
        let mut td = Td::new(2048);
        td.rtmr[1] = [7; 48];
        let report = report::build(&td, [9; 64]);
        let made = quote(report.as_bytes()).unwrap();
        assert_eq!((made[0], made[2], made[4]), (4, 2, 0x81));
        assert_eq!(made[48 + 520..48 + 584], [9; 64]);
        assert_eq!(made[48 + 376..48 + 424], [7; 48]);
        let mut forged = report;
        forged.td_info.rtmr[1] = [8; 48];
        assert_eq!(quote(forged.as_bytes()), None);
        assert_eq!(quote(&report.as_bytes()[..1023]), None);
    }
}
