//! Every act: its technology, and the breach as which the test host must report it.

use tessera_defs::breach::{self, Breach};
use tessera_defs::mode::Mode;

/// An act. Its name, in the image's commit text, is the name of its breach.
#[derive(Clone, Copy, Debug)]
pub struct Act {
    /// The technology that it abuses.
    pub mode: Mode,
    /// What the host must call it.
    pub breach: &'static Breach,
}

const fn snp(breach: &'static Breach) -> Act {
    let mode = Mode::Snp;
    Act { mode, breach }
}

const fn tdx(breach: &'static Breach) -> Act {
    let mode = Mode::Tdx;
    Act { mode, breach }
}

/// All acts.
pub static ALL: &[Act] = &[
    snp(&breach::UNVALIDATED_ACCESS),
    snp(&breach::DOUBLE_VALIDATION),
    snp(&breach::C_BIT_MISSING),
    snp(&breach::SHARED_AS_PRIVATE),
    snp(&breach::PRIVATE_DATA_SHARED),
    snp(&breach::GHCB_NOT_REGISTERED),
    snp(&breach::GHCB_NOT_SHARED),
    snp(&breach::GHCB_MALFORMED),
    snp(&breach::GHCB_MSR_UNKNOWN),
    snp(&breach::PSC_MALFORMED),
    snp(&breach::PVALIDATE_INPUT),
    snp(&breach::RMPADJUST_DENIED),
    snp(&breach::VMSA_INVALID),
    snp(&breach::RUN_VMPL_DENIED),
    snp(&breach::FOREIGN_INSTRUCTION),
    snp(&breach::UNHANDLED_EXCEPTION),
    snp(&breach::OUT_OF_RANGE),
    tdx(&breach::UNVALIDATED_ACCESS),
    tdx(&breach::DOUBLE_VALIDATION),
    tdx(&breach::C_BIT_MISSING),
    tdx(&breach::SHARED_AS_PRIVATE),
    tdx(&breach::UNALIGNED_ACCEPT),
    tdx(&breach::TDCALL_UNKNOWN),
    tdx(&breach::TDCALL_OPERAND),
    tdx(&breach::VMCALL_MALFORMED),
    tdx(&breach::VMCALL_LEAK),
    tdx(&breach::MAP_GPA_INPUT),
    tdx(&breach::FOREIGN_INSTRUCTION),
    tdx(&breach::UNHANDLED_EXCEPTION),
    tdx(&breach::OUT_OF_RANGE),
];
