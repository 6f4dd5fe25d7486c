//! The way out: a GHCB termination request, or ReportFatalError.

use crate::context::own_mode;
use tessera_defs::mode::Mode;
use tessera_defs::refusal::Refusal;
use tessera_hw::exit;

/// Says which door is the architectural one.
pub fn install(mode: Mode) {
    exit::set_mode(own_mode(mode));
}

/// Stops the whole guest with a named reason.
pub fn refuse(refusal: Refusal) -> ! {
    exit::fatal(refusal.code())
}
