//! MSG_REPORT_REQ.

use super::channel::{Channel, parse};
use crate::error::{Error, GuestFault, Result, guest};
use crate::traits::{MessagePages, Vmgexit};
use tessera_defs::snp::message::{ReportRequest, ReportResponse, kind, status};
use tessera_defs::snp::report::AttestationReport;
use zerocopy::IntoBytes;

/// A report over `report_data` that names `vmpl`. Errors: `BadValue` for a VMPL below the
/// channel's or above 3; `Platform` with the security processor's STATUS, after which the
/// channel stays open; whatever `Channel::exchange` says.
pub fn report(
    channel: &mut Channel,
    ghcb: &mut impl Vmgexit,
    pages: &mut impl MessagePages,
    report_data: &[u8; 64],
    vmpl: u8,
) -> Result<AttestationReport> {
    if vmpl < channel.vmpck() || vmpl > 3 {
        return guest(GuestFault::BadValue(vmpl.into()));
    }
    let mut request = ReportRequest {
        report_data: *report_data,
        vmpl: vmpl.into(),
        key_sel: 0,
        reserved: [0; 24],
    };
    let bytes = channel.exchange::<{ size_of::<ReportResponse>() }>(
        ghcb,
        pages,
        kind::REPORT_REQ,
        request.as_mut_bytes(),
    )?;
    let response: ReportResponse = parse(&bytes);
    let whole = response.report_size as usize == size_of::<AttestationReport>();
    let ours = response.report.report_data == *report_data && response.report.vmpl == vmpl.into();
    match response.status {
        status::SUCCESS if whole && ours => Ok(response.report),
        status => Err(Error::Platform {
            operation: "MSG_REPORT_REQ",
            status: status.into(),
        }),
    }
}
