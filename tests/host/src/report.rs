//! How a run ended.

use tessera_defs::breach::Breach;

/// The end of a run.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum End {
    /// Soft off through PM1a.
    Shutdown,
    /// The guest asked to be terminated (GHCB termination request): reason set and code.
    /// ReportFatalError with `FATAL_TESSERA | code` is set `TERMINATE_SET_TESSERA` too.
    Terminated {
        /// Reason set.
        set: u8,
        /// Reason.
        code: u64,
    },
    /// The host withholds what the guest cannot do without.
    Denied(&'static str),
    /// The guest broke the protocol.
    Breach(&'static Breach),
    /// No progress.
    Hang(&'static str),
    /// Triple fault that nothing explains better.
    TripleFault,
}
