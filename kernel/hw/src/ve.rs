//! What a #VE was about.
#![allow(unsafe_code)] // reason: TDCALL in the handler of an exception that only a TD gets

use crate::host::TdcallPort;
use tessera_defs::tdx::page::SHARED_BIT;
use tessera_protocol::exception::event::Event;
use tessera_protocol::exception::ve;
use tessera_protocol::tdx::module;

/// The event and the instruction's length, from TDG.VP.VEINFO.GET; `None` where there is no
/// such information, or where it is about private memory.
pub fn event() -> Option<(Event, u8)> {
    if !crate::exit::in_td() {
        return None;
    }
    // SAFETY: composed for TDX.
    let info = module::ve_info(&mut unsafe { TdcallPort::new() }).ok()?;
    let event = ve::event(info.reason, info.qualification, info.gpa).ok()?;
    let event = ve::shared_only(event, 1 << SHARED_BIT).ok()?;
    Some((event, info.length as u8))
}
