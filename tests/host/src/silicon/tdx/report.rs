//! TDG.MR.REPORT and TDG.MR.RTMR.EXTEND. The MAC is all zero: only a processor has its key.
//! Source: 348551, the leaves' pages.

use super::{mrtd::extended, td::Td};
use crate::memory::frames::{Memory, PAGE};
use sha2::{Digest, Sha384};
use tessera_defs::tdx::{
    report::{ReportMac, TdInfo, TdReport},
    status,
};
use zerocopy::{FromZeros, IntoBytes};

/// x87 and SSE.
pub const XFAM: u64 = 3;

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

fn build(td: &Td, report_data: [u8; 64]) -> TdReport {
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
    TdReport {
        mac,
        tee_tcb_info: [0; 239],
        reserved: [0; 17],
        td_info,
    }
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
    }
}
