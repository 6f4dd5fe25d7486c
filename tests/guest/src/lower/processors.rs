//! Processors and what they send each other, as far as one processor can see it; the guest of
//! `crate::processors` uses both with more.
#![allow(unsafe_code)] // reason: MSRs are what is probed

use super::machine::{Lower, TIMER, enable_interrupts, ticks};
use super::probes::Result;
use crate::window::put;
use tessera_defs::hyperv as hv;
use tessera_defs::pfe::Entry;
use tessera_defs::start_vp::{InitialVpContext, SegmentRegister, StartVpInput};
use tessera_defs::x86::{efer, x2apic};
use tessera_handoff::layout::{DIRECT_MAP, EXCHANGE_PAGE, PARAVISOR_PAGES, PFE_PAGE};
use tessera_hw::{instr, probe};
use zerocopy::IntoBytes;

fn check(good: bool, what: &'static str) -> Result {
    if good { Ok(()) } else { Err(what) }
}

/// A start of processor `index` in 64-bit mode.
fn input(index: u32) -> StartVpInput {
    StartVpInput {
        partition: hv::PARTITION_SELF,
        vp_index: index,
        target_vtl: 0,
        reserved: [0; 3],
        context: InitialVpContext {
            rflags: 2,
            cs: SegmentRegister {
                attributes: 0xA09B,
                ..SegmentRegister::default()
            },
            efer: efer::LME | efer::LMA | efer::NXE,
            cr0: 0x8001_0031,
            cr4: 0x20,
            pat: 0x0007_0406_0007_0406,
            ..InitialVpContext::default()
        },
    }
}

/// The call's status, its input at offset `at` of the exchange page.
fn ask(lower: &mut Lower, control: u64, at: u64, input: &StartVpInput) -> u64 {
    for (n, word) in input.as_bytes().chunks(8).enumerate() {
        let mut bytes = [0; 8];
        bytes[..word.len()].copy_from_slice(word);
        let to = DIRECT_MAP + EXCHANGE_PAGE + at / 8 * 8 + n as u64 * 8;
        put(to, u64::from_le_bytes(bytes));
    }
    lower.hypercall(control, EXCHANGE_PAGE + at)
}

/// The processor that asks runs already; there is no other one.
pub fn start(lower: &mut Lower, entry: &Entry) -> Result {
    let code = u32::from(hv::HVCALL_START_VP);
    check((entry.first, entry.last) == (code, code), "the call's code")?;
    let mut status = |index| ask(lower, code.into(), 0, &input(index));
    let runs = u64::from(hv::HV_STATUS_INVALID_VP_STATE);
    check(status(0) == runs, "a processor that runs")?;
    let none = u64::from(hv::HV_STATUS_INVALID_VP_INDEX);
    check([1, 7, 8, u32::MAX].map(status) == [none; 4], "no processor")
}

/// What of a start is checked before the processor is looked at.
pub fn start_denied(lower: &mut Lower) -> Result {
    let code = u64::from(hv::HVCALL_START_VP);
    let good = input(0);
    let inputs = [
        (
            StartVpInput {
                partition: 0,
                ..good
            },
            hv::HV_STATUS_INVALID_PARTITION_ID,
        ),
        (
            StartVpInput {
                reserved: [0, 0, 1],
                ..good
            },
            hv::HV_STATUS_INVALID_PARAMETER,
        ),
        (
            StartVpInput {
                target_vtl: 2,
                ..good
            },
            hv::HV_STATUS_INVALID_VTL_STATE,
        ),
        (
            StartVpInput {
                context: InitialVpContext {
                    cr4: 0,
                    ..good.context
                },
                ..good
            },
            hv::HV_STATUS_INVALID_REGISTER_VALUE,
        ),
    ];
    for (input, status) in inputs {
        let result = ask(lower, code, 0, &input);
        check(result == u64::from(status), "another status")?;
    }
    let one = 1 << hv::HYPERCALL_REP_COUNT_SHIFT;
    let malformed = u64::from(hv::HV_STATUS_INVALID_HYPERCALL_INPUT);
    for control in [code | hv::HYPERCALL_FAST, code | one] {
        let result = ask(lower, control, 0, &good);
        check(result == malformed, "another form of the call")?;
    }
    let misaligned = u64::from(hv::HV_STATUS_INVALID_ALIGNMENT);
    let crosses = 4096 - size_of::<StartVpInput>() as u64 + 8;
    for at in [4, crosses] {
        let result = lower.hypercall(code, EXCHANGE_PAGE + at);
        check(result == misaligned, "an input that crosses pages")?;
    }
    let outside = u64::from(hv::HV_STATUS_INVALID_PARAMETER);
    for gpa in [PARAVISOR_PAGES, PFE_PAGE] {
        let result = lower.hypercall(code, gpa);
        check(result == outside, "an input that is not the guest's")?;
    }
    Ok(())
}

const FIXED: u64 = TIMER as u64;
const LOGICAL: u64 = 1 << 11;

/// Writes the command register; `false` where it raised #GP.
fn send(command: u64) -> bool {
    // SAFETY: the vector has a handler.
    unsafe { probe::wrmsr(x2apic::ICR, command) }
}

/// Every form of destination that is this processor reaches it, no other one does; what is reserved
/// raises #GP.
pub fn commands(_: &mut Lower, entry: &Entry) -> Result {
    check(
        (entry.first, entry.last) == (x2apic::ICR, x2apic::ICR),
        "the register",
    )?;
    // SAFETY: turns the controller on.
    check(unsafe { probe::wrmsr(x2apic::SIVR, 0x1FF) }, "#GP at SIVR")?;
    let all = u64::from(u32::MAX) << 32;
    let mine = [
        FIXED,
        all | FIXED,
        1 << 32 | LOGICAL | FIXED,
        all | LOGICAL | FIXED,
    ];
    let mine = mine
        .into_iter()
        .chain([1 << 18, 2 << 18].map(|to| to | FIXED));
    for command in mine {
        let before = ticks();
        check(send(command), "#GP at a command")?;
        settle();
        check(ticks() == before + 1, "a command did not come, or twice")?;
    }
    let before = ticks();
    let lost = [
        1 << 32 | FIXED,
        2 << 32 | LOGICAL | FIXED,
        3 << 18 | FIXED,
        5,
    ];
    check(lost.into_iter().all(send), "#GP at a command to others")?;
    settle();
    check(ticks() == before, "somebody else's came")?;
    let reserved = [12, 13, 16, 17, 20, 31].map(|bit| FIXED | 1 << bit);
    check(!reserved.into_iter().any(send), "a reserved bit is taken")
}

/// Lets interrupts in that wait.
fn settle() {
    enable_interrupts();
    (0..100).for_each(|_| core::hint::spin_loop());
    instr::disable_interrupts();
}
