//! A probe for every service and every way to invoke it: it uses the service and looks at what
//! comes of it.
#![allow(unsafe_code)] // reason: MSRs and ports are what is probed

use super::host;
use super::machine::{Lower, TIMER, enable_interrupts, ticks};
use super::probes::Result;
use super::processors;
use crate::window::{RAM, put, touch};
use tessera_defs::binding::{EvidenceHeader, REPORT_TAG, RTMR, evidence as kinds};
use tessera_defs::hyperv as hv;
use tessera_defs::mode::Mode;
use tessera_defs::pfe::{Entry, invoke, service};
use tessera_defs::snp::report::AttestationReport;
use tessera_defs::tdx::report::TdReport;
use tessera_defs::x86::x2apic;
use tessera_handoff::layout::{DIRECT_MAP, EVIDENCE_PAGE};
use tessera_hw::{instr, probe};
use zerocopy::FromBytes;

/// A word of the data over which evidence is asked.
const DATA: u64 = 0x0123_4567_89AB_CDEF;

/// Uses a service.
type Use = fn(&mut Lower, &Entry) -> Result;

/// Probes by service and way of invocation.
pub const PROBES: &[(u32, u32, &str, Use)] = &[
    (service::CPUID, invoke::CPUID, "cpuid", cpuid),
    (
        service::ISOLATION,
        invoke::CPUID,
        "isolation-leaf",
        isolation_leaf,
    ),
    (
        service::ISOLATION,
        invoke::MSR,
        "isolation-msr",
        isolation_msr,
    ),
    (service::CONSOLE, invoke::PORT, "console", console),
    (
        service::VISIBILITY,
        invoke::HYPERCALL,
        "visibility",
        visibility,
    ),
    (service::TIMER, invoke::MSR, "timer", timer),
    (service::SHUTDOWN, invoke::PORT, "shutdown", |_, _| Ok(())),
    (service::HALT, invoke::HLT, "halt", halt),
    (
        service::ACCEPTED_MEMORY,
        invoke::PROPERTY,
        "accepted-memory",
        accepted_memory,
    ),
    (service::EVIDENCE, invoke::HYPERCALL, "evidence", evidence),
    (service::IO_APIC, invoke::MEMORY, "io-apic", host::io_apic),
    (
        service::HYPERCALL_PAGE,
        invoke::MSR,
        "hypercall-page",
        host::hypercall_page,
    ),
    (service::CLOCKS, invoke::MSR, "clocks", host::clocks),
    (service::PORTS, invoke::PORT, "ports", host::ports),
    (service::HOST_CALLS, invoke::HOST, "host-calls", host::calls),
    (service::SOURCES, invoke::MSR, "sources", host::sources),
    (
        service::DEVICE_MEMORY,
        invoke::SHARED,
        "device-memory",
        host::device_memory,
    ),
    (
        service::PROCESSORS,
        invoke::HYPERCALL,
        "start-processor",
        processors::start,
    ),
    (
        service::COMMANDS,
        invoke::MSR,
        "interrupt-commands",
        processors::commands,
    ),
];

fn check(good: bool, what: &'static str) -> Result {
    if good { Ok(()) } else { Err(what) }
}

/// Leaves come, a hypervisor is shown, isolation itself is hidden.
fn cpuid(_: &mut Lower, entry: &Entry) -> Result {
    check((entry.first, entry.last) == (0, u32::MAX), "the range")?;
    let vendor = instr::cpuid(0, 0);
    check(vendor.eax >= 1 && vendor.ebx != 0, "leaf 0")?;
    check(instr::cpuid(1, 0).ecx >> 31 == 1, "the hypervisor bit")?;
    for leaf in [0x8000_001F, 0x21] {
        let answer = instr::cpuid(leaf, 0);
        let all = answer.eax | answer.ebx | answer.ecx | answer.edx;
        check(all == 0, "a leaf of isolation features is not hidden")?;
    }
    Ok(())
}

fn isolation_leaf(lower: &mut Lower, entry: &Entry) -> Result {
    check(entry.first == hv::CPUID_ISOLATION, "the leaf's number")?;
    let features = instr::cpuid(hv::CPUID_FEATURES, 0);
    check(
        features.ebx & hv::FEATURE_EBX_ISOLATION != 0,
        "the leaf is not announced",
    )?;
    let leaf = instr::cpuid(entry.first, 0);
    let kind = match lower.mode {
        Mode::SnpParavisor => hv::ISOLATION_SNP,
        _ => hv::ISOLATION_TDX,
    };
    check(leaf.eax == hv::ISOLATION_EAX_PARAVISOR, "EAX")?;
    check(leaf.ebx & hv::ISOLATION_EBX_TYPE == kind, "the type")?;
    let boundary = leaf.ebx >> hv::ISOLATION_EBX_BOUNDARY_SHIFT & hv::ISOLATION_EBX_BOUNDARY_MASK;
    check(boundary == lower.shared_bit, "the boundary")
}

fn isolation_msr(_: &mut Lower, entry: &Entry) -> Result {
    let leaf = instr::cpuid(hv::CPUID_ISOLATION, 0);
    // SAFETY: reading has no effect on memory.
    let value = unsafe { probe::rdmsr(entry.first) }.ok_or("#GP")?;
    let wanted = u64::from(leaf.eax) | u64::from(leaf.ebx) << 32;
    check(value == wanted, "it differs from the leaf")
}

/// This probe's own line is the rest of the proof.
fn console(_: &mut Lower, entry: &Entry) -> Result {
    let port = entry.first as u16;
    check(entry.last == entry.first + 7, "the range")?;
    // SAFETY: line status, scratch register.
    let status = unsafe { instr::in8(port + 5) };
    check(status & 0x20 != 0 && status != 0xFF, "line status")
}

/// Pages, in runs and out of order and one twice, become shared, hold what is written there, and become
/// private again.
fn visibility(lower: &mut Lower, entry: &Entry) -> Result {
    let code = u32::from(hv::HVCALL_MODIFY_SPARSE_GPA_PAGE_HOST_VISIBILITY);
    check(entry.first == code, "the call's code")?;
    let pages = [0, 3, 4, 5, 7, 6].map(|page| RAM / 4096 + page);
    let asked = [0, 3, 4, 5, 5, 7, 6, 3].map(|page| RAM / 4096 + page);
    let done = 8 << hv::HYPERCALL_REP_COUNT_SHIFT;
    put(lower.guest.private(RAM), 0x5EC2E7);
    check(
        lower.visibility(&asked, hv::VISIBILITY_SHARED) == done,
        "sharing",
    )?;
    for page in pages {
        let window = lower.guest.shared(page * 4096);
        check(touch(window) == 0, "what was private is shown")?;
        put(window, 0x5E55E4A);
        check(touch(window) == 0x5E55E4A, "a shared page")?;
    }
    check(
        lower.visibility(&asked, hv::VISIBILITY_PRIVATE) == done,
        "taking back",
    )?;
    for page in pages {
        let window = lower.guest.private(page * 4096);
        put(window, 0xBAC4);
        check(touch(window) == 0xBAC4, "a page that came back")?;
        put(window, 0);
    }
    Ok(())
}

/// Writes an x2APIC register.
fn set(register: u32, value: u64) -> Result {
    // SAFETY: registers of the timer and its controller; the handler is installed.
    let done = unsafe { probe::wrmsr(register, value) };
    check(done, "#GP at a register of the timer")
}

/// One tick after `count`.
fn arm(count: u64) -> Result {
    set(x2apic::SIVR, 1 << 8 | 0xFF)?;
    set(x2apic::DIVIDE, 3)?;
    set(x2apic::LVT_TIMER, TIMER.into())?;
    set(x2apic::INITIAL_COUNT, count)
}

/// Identity, priority, and a tick that comes while the guest computes.
fn timer(_: &mut Lower, entry: &Entry) -> Result {
    check(
        (entry.first, entry.last) == (0x800, 0x83F),
        "the range of registers",
    )?;
    // SAFETY: reading has no effect on memory.
    let read = |register| unsafe { probe::rdmsr(register) };
    check(read(x2apic::ID) == Some(0), "the identifier")?;
    check(read(x2apic::VERSION).is_some_and(|v| v != 0), "the version")?;
    set(x2apic::TPR, 0x20)?;
    check(read(x2apic::TPR) == Some(0x20), "the priority")?;
    set(x2apic::TPR, 0)?;
    let before = ticks();
    arm(50_000)?;
    enable_interrupts();
    let mut patience = 50_000_000u32;
    while ticks() == before && patience > 0 {
        patience -= 1;
    }
    instr::disable_interrupts();
    check(ticks() == before + 1, "one tick")
}

/// HLT ends with the interrupt, and not before.
fn halt(_: &mut Lower, _: &Entry) -> Result {
    let before = ticks();
    arm(2_000_000)?;
    instr::wait_for_interrupt();
    instr::disable_interrupts();
    check(ticks() == before + 1, "no tick after HLT")
}

/// Every page of memory can be read and written at once.
fn accepted_memory(lower: &mut Lower, _: &Entry) -> Result {
    let mut pages = 0u64;
    for region in lower.usable() {
        for gpa in region.step_by(4096) {
            let window = lower.guest.private(gpa);
            put(window, gpa);
            check(touch(window) == gpa, "a page does not hold what is written")?;
            put(window, 0);
            pages += 1;
        }
    }
    check(pages > 4096, "less than 16 MiB of memory")
}

/// What VMPL 0 or L1 signs: of this guest's bytes only a digest (SNP), or the bytes beside the
/// bound register (TDX). The output page holds the evidence and nothing else.
fn evidence(lower: &mut Lower, entry: &Entry) -> Result {
    let (input, output) = (DIRECT_MAP + EVIDENCE_PAGE, RAM);
    (0..64).step_by(8).for_each(|at| put(input + at, DATA));
    let window = lower.guest.private(output);
    put(window, u64::MAX);
    let result = lower.hypercall_to(entry.first.into(), EVIDENCE_PAGE, output);
    check(result == 0, "the status")?;
    let window = lower.guest.private(output);
    let mut bytes = [0; 2048];
    for (n, word) in bytes.as_chunks_mut::<8>().0.iter_mut().enumerate() {
        *word = touch(window + n as u64 * 8).to_le_bytes();
        put(window + n as u64 * 8, 0);
    }
    let (header, rest) = EvidenceHeader::read_from_prefix(&bytes).map_err(|_| "the header")?;
    match lower.mode {
        Mode::SnpParavisor => {
            let (report, _) =
                AttestationReport::read_from_prefix(rest).map_err(|_| "the report")?;
            let wanted = (kinds::SNP_REPORT, size_of::<AttestationReport>() as u32);
            check((header.kind, header.length) == wanted, "kind and length")?;
            check(report.vmpl == 0, "a report of another VMPL")?;
            check(report.report_data[48..] == REPORT_TAG, "no tag")?;
            let raw = report.report_data.starts_with(&DATA.to_le_bytes());
            check(!raw, "the guest's bytes as they are")
        }
        _ => {
            let (report, _) = TdReport::read_from_prefix(rest).map_err(|_| "the report")?;
            let wanted = (kinds::TD_REPORT, size_of::<TdReport>() as u32);
            check((header.kind, header.length) == wanted, "kind and length")?;
            let data = report.mac.report_data.as_chunks::<8>().0;
            check(
                data.iter().all(|word| *word == DATA.to_le_bytes()),
                "the data",
            )?;
            let bound = report.td_info.rtmr[usize::from(RTMR)] != [0; 48];
            check(bound, "nothing is bound")
        }
    }
}
