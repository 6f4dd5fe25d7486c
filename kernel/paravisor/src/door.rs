//! The way out: a GHCB termination request.
#![allow(unsafe_code)] // VMPL 0 has the GHCB MSR protocol

use tessera_defs::refusal::Refusal;
use tessera_defs::snp::ghcb_msr::TERMINATE_SET_TESSERA;
use tessera_hw::host::GhcbMsrPort;
use tessera_hw::instr;
use tessera_protocol::ghcb_msr;

/// Stops the whole guest with `code`.
pub fn leave(code: u8) -> ! {
    // SAFETY: VMPL 0 of an SNP guest.
    ghcb_msr::terminate(
        &mut unsafe { GhcbMsrPort::new() },
        TERMINATE_SET_TESSERA,
        code,
    );
    instr::halt_forever()
}

/// Stops with a named reason.
pub fn refuse(refusal: Refusal) -> ! {
    leave(refusal.code())
}
