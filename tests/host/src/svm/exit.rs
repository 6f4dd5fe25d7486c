//! Exit codes of #VMEXIT. Source: APM vol. 2, appendix C. Codes that a #VC shares are in
//! `tessera_defs::snp::vc`.

/// Exception #UD.
pub const EXCEPTION_UD: u64 = 0x46;
/// Physical interrupt.
pub const INTR: u64 = 0x60;
/// NMI.
pub const NMI: u64 = 0x61;
/// Virtual interrupt window.
pub const VINTR: u64 = 0x64;
/// IRET.
pub const IRET: u64 = 0x74;
/// PAUSE.
pub const PAUSE: u64 = 0x77;
/// Nested page fault.
pub const NPF: u64 = 0x400;
/// Invalid guest state, as QEMU writes it (the low half of -1).
pub const INVALID_LOW: u64 = 0xFFFF_FFFF;
/// Invalid guest state.
pub const INVALID: u64 = u64::MAX;

/// NPF EXITINFO1: a write.
pub const NPF_WRITE: u64 = 1 << 1;
/// NPF EXITINFO1: an instruction fetch.
pub const NPF_FETCH: u64 = 1 << 4;
/// NPF EXITINFO1: during the guest's own table walk.
pub const NPF_WALK: u64 = 1 << 33;

/// The class of an interrupt that was the timer's alone; only what serves it is counted so.
pub const TIMER: &str = "timer";

/// Class of an exit in the report's counts.
pub fn class(code: u64) -> &'static str {
    match code {
        0x00..=0x1F => "cr",
        0x20..=0x3F => "dr",
        0x40..=0x5F => "exception",
        INTR => "intr",
        NMI => "nmi",
        VINTR => "vintr",
        0x72 => "cpuid",
        0x76 | 0x89 => "wbinvd",
        0x78 => "hlt",
        0x7B => "io",
        0x7C => "msr",
        0x7F => "shutdown",
        0x81 => "vmmcall",
        0x8D => "xsetbv",
        NPF => "npf",
        INVALID | INVALID_LOW => "invalid",
        _ => "other",
    }
}

/// Classes, in the order of the report.
pub const CLASSES: [&str; 17] = [
    "cr",
    "dr",
    "exception",
    "intr",
    "nmi",
    "vintr",
    "cpuid",
    "wbinvd",
    "hlt",
    "io",
    "msr",
    "shutdown",
    "vmmcall",
    "xsetbv",
    "npf",
    TIMER,
    "other",
];
