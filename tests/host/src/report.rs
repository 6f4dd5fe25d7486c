//! How a run ended, and the lines that say so: one JSON object each.

use crate::{
    memory::frames::{Memory, PAGE},
    platform::Technology,
    svm::exit,
    vmm::{Vmm, stats::ByClass},
};
use alloc::{format, string::String, vec::Vec};
use core::fmt::Write;
use tessera_defs::{
    breach::Breach,
    refusal::{GUEST_PANIC, Refusal},
    snp::ghcb_msr::TERMINATE_SET_TESSERA,
};
use tessera_handoff::layout::{EVENT_LOG, PFE_PAGE};

/// The end of a run.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum End {
    /// Soft off through PM1a.
    Shutdown,
    /// The guest reset itself: its panic, mostly.
    Reset,
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

/// The line after loading.
pub fn loaded(out: &mut dyn Write, hashes: &str, heard: &str, digest: Option<&str>) {
    let digest = digest.map_or(String::from("null"), |hex| format!("\"{hex}\""));
    let _ = writeln!(
        out,
        "{{\"event\":\"loaded\",\"hashes\":{hashes},\"heard\":{heard},\"launch_digest\":{digest}}}"
    );
}

/// One exit.
pub fn trace(out: &mut dyn Write, vmm: &Vmm, technology: &dyn Technology) {
    let (code, info) = vmm.last_exit;
    let _ = writeln!(
        out,
        "{{\"event\":\"trace\",\"n\":{},\"vp\":{},\"exit\":\"{}\",\"exit_code\":{code},\"info1\":{},\
         \"info2\":{},\"rip\":{}}}",
        vmm.stats.total,
        vmm.current(),
        exit::class(code),
        info[0],
        info[1],
        technology.rip()
    );
}

/// The last line.
pub fn end(
    out: &mut dyn Write,
    end: End,
    vmm: &Vmm,
    memory: &mut Memory,
    technology: &dyn Technology,
) {
    let (name, reason, set, code) = words(end, vmm);
    let reason = reason.map_or(String::from("null"), |word| format!("\"{word}\""));
    let (accepted, shared) = technology.pages();
    let _ = write!(
        out,
        "{{\"event\":\"end\",\"end\":\"{name}\",\"reason\":{reason},\"rip\":{},\"set\":{set},\
         \"code\":{code},\"info1\":{},\"info2\":{},\"operations\":[",
        technology.rip(),
        vmm.last_exit.1[0],
        vmm.last_exit.1[1]
    );
    for (i, (operation, _)) in vmm.stats.operations.iter().enumerate() {
        let _ = write!(out, "{}\"{operation}\"", if i == 0 { "" } else { "," });
    }
    let stats = &vmm.stats;
    let counted = by_name(&stats.operations);
    let _ = write!(
        out,
        "],\"counted\":{counted},\"exits\":{}",
        by_class(&stats.exits)
    );
    if let Some(boot) = &stats.boot {
        let (exits, own) = (by_class(&boot.exits), boot.instructions);
        let counted = by_name(&boot.operations);
        let _ = write!(
            out,
            ",\"boot\":{{\"instructions\":{own},\"exits\":{exits},\"counted\":{counted}}}"
        );
    }
    let [served, serving, least] = [&stats.served, &stats.serving, &stats.least].map(by_class);
    let _ = write!(
        out,
        ",\"served\":{served},\"serving\":{serving},\"least\":{least},\"unimplemented\":{{"
    );
    for (i, missed) in vmm.missing.list().iter().enumerate() {
        let comma = if i == 0 { "" } else { "," };
        let (request, count, rip) = (missed.request, missed.count, missed.rip);
        let fields = missed.fields;
        let _ = write!(
            out,
            "{comma}\"{request}\":{{\"count\":{count},\"rip\":{rip},\"fields\":{fields:?}}}"
        );
    }
    let [told, stopped] = vmm.lies_told();
    let _ = write!(
        out,
        "}},\"pages_accepted\":{accepted},\"pages_shared\":{shared},\"instructions\":{},\
         \"lie_told\":{told},\"lie_stopped\":{stopped}",
        vmm.stats.instructions
    );
    evidence(out, technology);
    bound(out, memory);
    let _ = writeln!(out, "}}");
}

/// `{"cpuid":4}`: the classes of which there are any.
fn by_class(counts: &ByClass) -> String {
    let counted = exit::CLASSES.iter().zip(counts).filter(|(_, n)| **n > 0);
    let words = counted.map(|(class, count)| format!("\"{class}\":{count}"));
    format!("{{{}}}", words.collect::<Vec<_>>().join(","))
}

/// The same of operations.
fn by_name(counts: &[(&str, u64)]) -> String {
    let words = counts.iter().map(|(name, n)| format!("\"{name}\":{n}"));
    format!("{{{}}}", words.collect::<Vec<_>>().join(","))
}

/// What the hardware signed or would sign: SNP reports, TDX registers.
fn evidence(out: &mut dyn Write, technology: &dyn Technology) {
    let _ = write!(out, ",\"reports\":[");
    for (i, report) in technology.reports().iter().enumerate() {
        let (comma, data) = (if i == 0 { "" } else { "," }, hex(&report.report_data));
        let vmpl = report.vmpl;
        let _ = write!(out, "{comma}{{\"vmpl\":{vmpl},\"report_data\":\"{data}\"}}");
    }
    let _ = write!(out, "],\"rtmr\":[");
    for (i, register) in technology.rtmr().into_iter().flatten().enumerate() {
        let comma = if i == 0 { "" } else { "," };
        let _ = write!(out, "{comma}\"{}\"", hex(register));
    }
    let _ = write!(out, "]");
}

/// What the guest says that it bound: pages as they stand in its memory, without the zeros at their
/// end. The host is an instrument here; a real one sees ciphertext.
fn bound(out: &mut dyn Write, memory: &mut Memory) {
    for (name, gpa) in [("features", PFE_PAGE), ("event_log", EVENT_LOG)] {
        let frame = memory.frame(gpa / PAGE as u64);
        let page = frame.and_then(|frame| memory.page(frame));
        let bytes = page.map_or(&[][..], |page| &page[..]);
        let used = bytes.iter().rposition(|byte| *byte != 0);
        let used = used.map_or(0, |last| last + 1);
        let _ = write!(out, ",\"{name}\":\"{}\"", hex(&bytes[..used]));
    }
}

/// `end`, `reason`, `set`, `code` of the last line.
fn words(end: End, vmm: &Vmm) -> (&'static str, Option<&'static str>, u8, u64) {
    match end {
        End::Shutdown => ("shutdown", None, 0, 0),
        End::Reset => ("reset", None, 0, 0),
        End::Denied(what) => ("denied", Some(what), 0, 0),
        End::Breach(breach) => ("breach", Some(breach.name), 0, 0),
        End::Hang(what) => ("hang", Some(what), 0, 0),
        End::TripleFault => ("triple-fault", None, 0, 0),
        End::Terminated { set, code } if set == TERMINATE_SET_TESSERA => {
            match (code as u8 == GUEST_PANIC, vmm.offence) {
                (true, Some(breach)) => ("breach", Some(breach.name), set, code),
                (true, None) => ("panic", None, set, code),
                _ => (
                    "refused",
                    Refusal::from_code(code as u8).map(Refusal::name),
                    set,
                    code,
                ),
            }
        }
        End::Terminated { set, code } => ("refused", None, set, code),
    }
}

/// Lower-case hexadecimal.
pub fn hex(bytes: &[u8]) -> String {
    let mut text = String::with_capacity(bytes.len() * 2);
    bytes.iter().for_each(|byte| {
        let _ = write!(text, "{byte:02x}");
    });
    text
}
