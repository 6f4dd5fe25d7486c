//! What a #VE was about.
#![allow(unsafe_code)] // reason: TDCALL in the handler of an exception that only a TD gets

use crate::host::TdcallPort;
use tessera_defs::tdx::page::SHARED_BIT;
use tessera_protocol::exception::event::Event;
use tessera_protocol::exception::ve;
use tessera_protocol::tdx::module;

/// Why there is no event to serve.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Unserved {
    /// No TD, no information, or a reason that nothing here causes.
    Unknown,
    /// Private memory that is not accepted, or no longer.
    PageNotAccepted,
}

/// The event and the instruction's length, from TDG.VP.VEINFO.GET.
pub fn event() -> Result<(Event, u8), Unserved> {
    if !crate::exit::in_td() {
        return Err(Unserved::Unknown);
    }
    // SAFETY: composed for TDX.
    let info = module::ve_info(&mut unsafe { TdcallPort::new() });
    let info = info.map_err(|_| Unserved::Unknown)?;
    let event = ve::event(info.reason, info.qualification, info.gpa);
    let event = event.map_err(|_| Unserved::Unknown)?;
    let event = ve::shared_only(event, 1 << SHARED_BIT);
    let event = event.map_err(|_| Unserved::PageNotAccepted)?;
    Ok((event, info.length as u8))
}
