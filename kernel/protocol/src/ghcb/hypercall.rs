//! Hyper-V hypercalls by a GHCB of usage 1. Source: Linux `arch/x86/hyperv/ivm.c` (layout).

use crate::error::{GuestFault, Result, guest};
use crate::ghcb::frame::GhcbFrame;
use crate::traits::Vmgexit;
use tessera_defs::snp::ghcb::USAGE_HYPERCALL;

/// Makes a hypercall whose input is copied into the page; the result value.
/// Errors: `BadLength` where the input does not fit in the frame's buffer.
pub fn hypercall(
    host_call: &mut impl Vmgexit,
    control: u64,
    input: &[u8],
    output_gpa: u64,
) -> Result<u64> {
    let mut frame = GhcbFrame::new(0, 0, 0);
    let Some(room) = frame.buffer.get_mut(..input.len()) else {
        return guest(GuestFault::BadLength(input.len()));
    };
    room.copy_from_slice(input);
    frame.used = input.len();
    frame.usage = USAGE_HYPERCALL;
    (frame.control, frame.output_gpa) = (control, output_gpa);
    host_call.vmgexit(&mut frame);
    Ok(frame.control)
}
