//! What the paravisor does not provide fails as `docs/pfe.md` says.
#![allow(unsafe_code)] // reason: MSRs and ports are what is probed

use super::machine::Lower;
use super::probes::{Probe, Result};
use super::processors;
use crate::window::{BEYOND, RAM};
use tessera_defs::hyperv as hv;
use tessera_defs::pfe::{CPUID_BASE, CPUID_TABLE};
use tessera_defs::x86::x2apic;
use tessera_handoff::layout::{
    EVENT_LOG, EXCHANGE_PAGE, PARAVISOR_BASE, PARAVISOR_PAGES, PFE_PAGE,
};
use tessera_hw::{instr, probe};

/// Probes by name.
pub const PROBES: &[(&str, Probe)] = &[
    ("unknown-msr-read", unknown_msr_read),
    ("unknown-msr-write", unknown_msr_write),
    ("msr-value-denied", msr_value_denied),
    ("unknown-port-read", unknown_port_read),
    ("unknown-port-write", unknown_port_write),
    ("unknown-hypercall", unknown_hypercall),
    ("unknown-leaf", unknown_leaf),
    ("visibility-outside-memory", |lower| {
        denied(
            lower,
            &[
                BEYOND >> 12,
                1 << 34,
                (1 << lower.shared_bit) >> 12,
                u64::MAX,
            ],
        )
    }),
    ("visibility-of-the-paravisor", |lower| {
        let pages = [PARAVISOR_BASE, PARAVISOR_PAGES, PFE_PAGE, EVENT_LOG];
        denied(lower, &pages.map(|gpa| gpa >> 12))
    }),
    ("visibility-input-misaligned", |lower| {
        status(
            lower,
            SHARE,
            EXCHANGE_PAGE + 8,
            hv::HV_STATUS_INVALID_ALIGNMENT,
        )
    }),
    ("visibility-input-of-the-paravisor", |lower| {
        status(
            lower,
            SHARE,
            PARAVISOR_PAGES,
            hv::HV_STATUS_INVALID_PARAMETER,
        )
    }),
    ("visibility-input-shared", input_shared),
    ("visibility-input-malformed", malformed),
    ("evidence-denied", evidence_denied),
    ("start-processor-denied", processors::start_denied),
];

/// Run time of a virtual processor, a parameter of PMUs, a register that no processor has, and a
/// reserved register of the controller.
const UNKNOWN_MSRS: [u32; 4] = [0x4000_0010, 0xC001_0200, 0xDEAD_BEEF, 0x804];
/// Second serial port, POST codes, PCI configuration.
const UNKNOWN_PORTS: [u16; 3] = [0x2F8, 0x80, 0xCF8];

/// The visibility hypercall for one page.
const SHARE: u64 =
    hv::HVCALL_MODIFY_SPARSE_GPA_PAGE_HOST_VISIBILITY as u64 | 1 << hv::HYPERCALL_REP_COUNT_SHIFT;

fn check(good: bool, what: &'static str) -> Result {
    if good { Ok(()) } else { Err(what) }
}

/// A page that the host can write is no input; asking twice for what is so already is no fault.
fn input_shared(lower: &mut Lower) -> Result {
    let done = 1 << hv::HYPERCALL_REP_COUNT_SHIFT;
    let set = |lower: &Lower, kind| lower.visibility(&[RAM >> 12], kind) == done;
    let twice = |lower: &Lower, kind| set(lower, kind) && set(lower, kind);
    check(twice(lower, hv::VISIBILITY_SHARED), "not shared twice")?;
    let refused = status(lower, SHARE, RAM, hv::HV_STATUS_INVALID_PARAMETER);
    check(twice(lower, hv::VISIBILITY_PRIVATE), "not private twice")?;
    refused
}

/// The guest has not written GUEST_OS_ID: no hypercall is served. Then it does so.
pub fn before_identity(lower: &mut Lower) -> Result {
    // SAFETY: no memory is concerned.
    let zero = unsafe { probe::rdmsr(hv::MSR_GUEST_OS_ID) };
    let done = lower.visibility(&[RAM >> 12], hv::VISIBILITY_SHARED);
    // SAFETY: the guest's own identity.
    let written = unsafe { probe::wrmsr(hv::MSR_GUEST_OS_ID, hv::GUEST_OS_ID) };
    check(zero == Some(0), "an identity from the start")?;
    check(done == u64::from(hv::HV_STATUS_ACCESS_DENIED), "served")?;
    check(written, "the identity is not taken")
}

fn unknown_msr_read(_: &mut Lower) -> Result {
    // SAFETY: the registers do not exist.
    let all = UNKNOWN_MSRS.map(|msr| unsafe { probe::rdmsr(msr) });
    check(all == [None; 4], "no #GP")
}

fn unknown_msr_write(_: &mut Lower) -> Result {
    // SAFETY: the registers do not exist, or cannot be written.
    let all = UNKNOWN_MSRS.map(|msr| unsafe { probe::wrmsr(msr, 0) });
    let fixed = [
        x2apic::ID,
        x2apic::VERSION,
        hv::MSR_VP_INDEX,
        hv::MSR_ISOLATION_CONFIG,
    ];
    // SAFETY: as above.
    let fixed = fixed.map(|msr| unsafe { probe::wrmsr(msr, 0) });
    check(all == [false; 4] && fixed == [false; 4], "no #GP")
}

fn msr_value_denied(_: &mut Lower) -> Result {
    let values = [
        (x2apic::EOI, 1),
        (x2apic::TPR, 0x100),
        (x2apic::LVT_TIMER, 1 << 32),
        (x2apic::INITIAL_COUNT, 1 << 32),
    ];
    // SAFETY: values that the registers cannot hold.
    let all = values.map(|(msr, value)| unsafe { probe::wrmsr(msr, value) });
    check(all == [false; 4], "no #GP")
}

fn unknown_port_read(_: &mut Lower) -> Result {
    for port in UNKNOWN_PORTS {
        // SAFETY: no device is there.
        let all = unsafe { (instr::in8(port), instr::in16(port), instr::in32(port)) };
        check(all == (0xFF, 0xFFFF, u32::MAX), "not all ones")?;
    }
    Ok(())
}

fn unknown_port_write(lower: &mut Lower) -> Result {
    for port in UNKNOWN_PORTS {
        // SAFETY: no device is there.
        unsafe {
            instr::out8(port, 0);
            instr::out32(port, 0);
        }
    }
    unknown_port_read(lower)
}

fn unknown_hypercall(lower: &mut Lower) -> Result {
    let wanted = hv::HV_STATUS_INVALID_HYPERCALL_CODE;
    [0, 1, 0x5B, 0xDA, 0xDC, 0xFFFF]
        .into_iter()
        .try_for_each(|code| status(lower, code, EXCHANGE_PAGE, wanted))
}

fn unknown_leaf(_: &mut Lower) -> Result {
    let leaves = [
        hv::CPUID_ISOLATION + 1,
        CPUID_BASE - 1,
        CPUID_TABLE + 1,
        0x4000_0200,
        0x4FFF_FFFF,
    ];
    for leaf in leaves {
        let a = instr::cpuid(leaf, 0);
        check(a.eax | a.ebx | a.ecx | a.edx == 0, "not zeros")?;
    }
    Ok(())
}

/// Neither direction is taken for any of these pages, alone or after a good one.
fn denied(lower: &mut Lower, pages: &[u64]) -> Result {
    let wanted = u64::from(hv::HV_STATUS_INVALID_PARAMETER);
    for page in pages {
        for kind in [hv::VISIBILITY_SHARED, hv::VISIBILITY_PRIVATE] {
            check(lower.visibility(&[*page], kind) == wanted, "taken")?;
        }
        let one = 1 << hv::HYPERCALL_REP_COUNT_SHIFT;
        let pages = [RAM >> 12, *page];
        let result = lower.visibility(&pages, hv::VISIBILITY_SHARED);
        check(result == wanted | one, "the good page was not counted")?;
        let back = lower.visibility(&pages[..1], hv::VISIBILITY_PRIVATE);
        check(back == one, "the good page does not come back")?;
    }
    Ok(())
}

/// A hypercall with this input: its status.
fn status(lower: &mut Lower, control: u64, input: u64, wanted: u16) -> Result {
    let result = lower.hypercall(control, input);
    check(result == u64::from(wanted), "another status")
}

fn malformed(lower: &mut Lower) -> Result {
    let wanted = u64::from(hv::HV_STATUS_INVALID_HYPERCALL_INPUT);
    for kind in [1, 2, 4] {
        let result = lower.visibility(&[RAM >> 12], kind);
        check(result == wanted, "a visibility that does not exist")?;
    }
    check(
        lower.visibility(&[], hv::VISIBILITY_SHARED) == wanted,
        "no page at all",
    )?;
    let fast = SHARE | 1 << 16;
    check(
        lower.hypercall(fast, EXCHANGE_PAGE) == wanted,
        "a fast call",
    )
}

/// Input and output must be pages of the guest's to read and write, the call has no repetitions.
fn evidence_denied(lower: &mut Lower) -> Result {
    let code = u64::from(hv::HVCALL_EVIDENCE);
    let one = 1 << hv::HYPERCALL_REP_COUNT_SHIFT;
    let (page, bad) = (EXCHANGE_PAGE, hv::HV_STATUS_INVALID_PARAMETER);
    let mut tried = [
        (code, page + 64, page, hv::HV_STATUS_INVALID_ALIGNMENT),
        (code, page, page + 64, hv::HV_STATUS_INVALID_ALIGNMENT),
        (
            code | one,
            page,
            page,
            hv::HV_STATUS_INVALID_HYPERCALL_INPUT,
        ),
        (
            code | 1 << 16,
            page,
            page,
            hv::HV_STATUS_INVALID_HYPERCALL_INPUT,
        ),
    ]
    .into_iter()
    .chain(
        [PARAVISOR_PAGES, PFE_PAGE, EVENT_LOG, BEYOND]
            .into_iter()
            .flat_map(|gpa| [(code, gpa, page, bad), (code, page, gpa, bad)]),
    );
    let fits = |(control, input, output, wanted): (u64, u64, u64, u16)| {
        lower.hypercall_to(control, input, output) == u64::from(wanted)
    };
    check(tried.all(fits), "another status")
}
