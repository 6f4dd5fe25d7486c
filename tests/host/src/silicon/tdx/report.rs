//! TDG.MR.REPORT and TDG.MR.RTMR.EXTEND. The MAC's key is one that everybody can read here: it
//! shows that a report came from this module, and proves nothing about a machine.
//! Source: 348551, the leaves' pages and REPORTMACSTRUCT.

use super::{mrtd::extended, td::Td};
use crate::memory::frames::{Memory, PAGE};
use sha2::{Digest, Sha256, Sha384};
use tessera_defs::tdx::{
    report::{ReportMac, TdInfo, TdReport},
    status,
};
use zerocopy::{FromBytes, FromZeros, IntoBytes};

/// x87 and SSE.
pub const XFAM: u64 = 3;

/// HMAC-SHA-256 key of the reports; a processor's own never leaves it.
const MAC_KEY: [u8; 64] = *b"tessera test host: every TDREPORT is under this key, not secret.";
/// Bytes of REPORTMACSTRUCT that the MAC covers.
const COVERED: usize = core::mem::offset_of!(ReportMac, mac);

/// RCX: where the report goes; RDX: 64 bytes of report data; R8: subtype 0. Status.
pub fn report(td: &Td, memory: &mut Memory, to: u64, data: u64, subtype: u64) -> u64 {
    let invalid = |operand| status::OPERAND_INVALID | operand;
    let Some(target) = private(td, to, 1024) else {
        return invalid(status::OPERAND_RCX);
    };
    let Some(source) = private(td, data, 64) else {
        return invalid(status::OPERAND_RDX);
    };
    if subtype != 0 {
        return invalid(status::OPERAND_R8);
    }
    let mut report_data = [0; 64];
    if let Some(bytes) = memory.page(source.0) {
        report_data.copy_from_slice(&bytes[source.1..source.1 + 64]);
    }
    let made = build(td, report_data);
    if let Some(bytes) = memory.page(target.0) {
        bytes[target.1..target.1 + 1024].copy_from_slice(made.as_bytes());
    }
    status::SUCCESS
}

/// The report itself.
pub(super) fn build(td: &Td, report_data: [u8; 64]) -> TdReport {
    let mut td_info = TdInfo::new_zeroed();
    td_info.attributes = td.attributes;
    td_info.xfam = XFAM;
    td_info.mrtd = td.mrtd.value();
    td_info.rtmr = td.rtmr;
    let mut mac = ReportMac::new_zeroed();
    mac.report_type = [0x81, 0, 0, 0];
    mac.report_data = report_data;
    mac.tee_info_hash = Sha384::digest(td_info.as_bytes()).into();
    mac.tee_tcb_info_hash = Sha384::digest([0; 239]).into();
    mac.mac = hmac(&mac.as_bytes()[..COVERED]);
    TdReport {
        mac,
        tee_tcb_info: [0; 239],
        reserved: [0; 17],
        td_info,
    }
}

/// Whether this module made the report (what EVERIFYREPORT2 tells the quoting enclave).
pub fn genuine(report: &TdReport) -> bool {
    let mac = &report.mac;
    let info: [u8; 48] = Sha384::digest(report.td_info.as_bytes()).into();
    let tcb: [u8; 48] = Sha384::digest(report.tee_tcb_info).into();
    mac.mac == hmac(&mac.as_bytes()[..COVERED])
        && mac.tee_info_hash == info
        && mac.tee_tcb_info_hash == tcb
}

/// TDG.MR.VERIFYREPORT of the REPORTMACSTRUCT at RCX: a report of any TD of this platform. Status.
pub fn verify(td: &Td, memory: &mut Memory, from: u64) -> u64 {
    let page = private(td, from, 256).and_then(|(frame, at)| {
        let bytes = memory.page(frame)?.get(at..at + size_of::<ReportMac>())?;
        ReportMac::read_from_bytes(bytes).ok()
    });
    let Some(mac) = page else {
        return status::OPERAND_INVALID | status::OPERAND_RCX;
    };
    match mac {
        mac if mac.cpu_svn != [0; 16] => status::INVALID_CPUSVN,
        mac if mac.mac == hmac(&mac.as_bytes()[..COVERED]) => status::SUCCESS,
        _ => status::INVALID_REPORTMACSTRUCT,
    }
}

/// HMAC-SHA-256 (FIPS 198-1) under the module's key, which is one block long.
fn hmac(message: &[u8]) -> [u8; 32] {
    let pad = |byte: u8| MAC_KEY.map(|key| key ^ byte);
    let inner = Sha256::new()
        .chain_update(pad(0x36))
        .chain_update(message)
        .finalize();
    let outer = Sha256::new().chain_update(pad(0x5C)).chain_update(inner);
    outer.finalize().into()
}

/// RCX: 48 bytes; RDX: index. Status.
pub fn extend(td: &mut Td, memory: &mut Memory, from: u64, index: u64) -> u64 {
    let Some((frame, offset)) = private(td, from, 64) else {
        return status::OPERAND_INVALID | status::OPERAND_RCX;
    };
    let Some(register) = td.rtmr.get_mut(index as usize) else {
        return status::OPERAND_INVALID | status::OPERAND_RDX;
    };
    if let Some(bytes) = memory.page(frame) {
        *register = extended(register, &bytes[offset..offset + 48]);
    }
    status::SUCCESS
}

/// Frame and offset of an operand in accepted private memory, aligned to `align`.
fn private(td: &Td, gpa: u64, align: u64) -> Option<(u32, usize)> {
    let frame = td.sept.mapped(gpa / PAGE as u64)?;
    gpa.is_multiple_of(align)
        .then_some((frame, gpa as usize % PAGE))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_report_holds_mrtd_rtmr_and_data() {
        let bytes: &'static mut [u8] = std::vec![0u8; (8 << 20) + 64 * 4096].leak();
        let mut memory = Memory::new(bytes, 8 << 20);
        let mut td = Td::new(2048);
        td.sept.add(0x300, 0x300);
        memory.page(0x300).unwrap()[2048..2112].fill(0x5A);
        assert_eq!(extend(&mut td, &mut memory, 0x30_0800, 2), 0);
        assert_eq!(
            extend(&mut td, &mut memory, 0x30_0800, 4),
            status::OPERAND_INVALID | 2
        );
        let unaligned = report(&td, &mut memory, 0x30_0200, 0x30_0800, 0);
        assert_eq!(unaligned, status::OPERAND_INVALID | 1);
        assert_eq!(report(&td, &mut memory, 0x30_0000, 0x30_0800, 0), 0);
        let page = memory.page(0x300).unwrap();
        assert_eq!(page[0], 0x81);
        assert_eq!(page[128..192], [0x5A; 64]);
        assert_eq!(page[512 + 16..512 + 64], td.mrtd.value());
        assert_eq!(page[512 + 208 + 96..512 + 208 + 144], td.rtmr[2]);
        assert_ne!(td.rtmr[2], [0; 48]);
        let made = TdReport::read_from_bytes(&page[..1024]).unwrap();
        assert!(genuine(&made));
        // Each part is covered: by the MAC, or by a hash that it covers.
        for at in [0x80, 0xE0, 0x100, 0x200, 0x3FF] {
            let mut bytes = page[..1024].to_vec();
            bytes[at] ^= 1;
            let changed = TdReport::read_from_bytes(&bytes).unwrap();
            assert!(!genuine(&changed), "byte {at:#x}");
        }
    }
}
