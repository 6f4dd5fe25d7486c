//! Hypercalls to sets of processors, and about processors. The host executes a flush at the latest with the next entry: only its
//! answers can be looked at.

use super::machine::{COUNTS, SIGNAL};
use super::probes::{Probe, soon};
use super::synthetic::{answered, fast, hypercall};
use core::sync::atomic::Ordering::SeqCst;
use tessera_defs::hyperv as hv;
use tessera_defs::hyperv::sets::*;

const VECTOR: u64 = SIGNAL as u64;
const BANK_1: u64 = 1 << VARIABLE_HEADER_SHIFT;
const REPS: u64 = 2 << hv::HYPERCALL_REP_COUNT_SHIFT;
const DONE: u16 = hv::HV_STATUS_SUCCESS;
const PARAMETER: u16 = hv::HV_STATUS_INVALID_PARAMETER;
const INPUT: u16 = hv::HV_STATUS_INVALID_HYPERCALL_INPUT;

/// Behind `synthetic::ALL`, which shares the page of inputs.
pub static ALL: &[(&str, Probe)] = &[
    ("hv-flush", |_| flush()),
    ("hv-cluster-ipi", |_| cluster_ipi()),
    ("hv-cluster-ipi-below", |_| {
        let one = [VECTOR, 1];
        fast(HVCALL_SEND_IPI.into(), one) == hv::HV_STATUS_ACCESS_DENIED
    }),
    ("hv-spin-wait", |_| {
        let code = hv::HVCALL_NOTIFY_LONG_SPIN_WAIT.into();
        fast(code, [1, 0]) == DONE
            && hypercall(code, &[1]) == DONE
            && hypercall(code | REPS, &[1]) == INPUT
    }),
    ("hv-index", |_| index()),
    ("hv-set-registers-refused", |_| set_registers()),
    ("hv-no-call", |_| {
        [0x7F, 0x1234, 0x7FFF]
            .iter()
            .all(|code| hypercall(*code, &[0]) == hv::HV_STATUS_INVALID_HYPERCALL_CODE)
    }),
];

/// A register of another partition, of another processor, of a level that is not said to be another.
fn set_registers() -> bool {
    let one = 1 << hv::HYPERCALL_REP_COUNT_SHIFT;
    let lower = u64::from(hv::VTL0) << 32;
    let ask = |partition: u64, place: u64| {
        let control = u64::from(hv::HVCALL_SET_VP_REGISTERS) | one;
        hypercall(control, &[partition, place, 0, 0, 0, 0])
    };
    let me = u64::from(hv::VP_SELF);
    ask(1, me | lower) == hv::HV_STATUS_INVALID_PARTITION_ID
        && ask(hv::PARTITION_SELF, 1 | lower) == hv::HV_STATUS_INVALID_VP_INDEX
        && ask(hv::PARTITION_SELF, me) == PARAMETER
}

/// The index of the processor of APIC id 0, and of none.
fn index() -> bool {
    let one = 1 << hv::HYPERCALL_REP_COUNT_SHIFT;
    let ask = |level: u64, ids: u64, count: u64| {
        let control = u64::from(hv::HVCALL_GET_VP_INDEX) | (count * one);
        answered(control, &[hv::PARTITION_SELF, level, ids])
    };
    let (known, index) = ask(0, 0, 1);
    let (unknown, _) = ask(0, 99 << 32, 2);
    let (level, _) = ask(1, 0, 1);
    (known, index as u32) == (one, 0)
        && unknown == one | u64::from(PARAMETER)
        && level as u16 == PARAMETER
}

fn flush() -> bool {
    let space = |input: &[u64]| hypercall(HVCALL_FLUSH_SPACE.into(), input);
    let list =
        |control: u64, input: &[u64]| hypercall(control | u64::from(HVCALL_FLUSH_LIST), input);
    let space_of = |set: &[u64]| hypercall(u64::from(HVCALL_FLUSH_SPACE_EX) | BANK_1, set);
    let list_of = |set: &[u64]| hypercall(u64::from(HVCALL_FLUSH_LIST_EX) | BANK_1 | REPS, set);
    space(&[0, 0, 1]) == DONE
        && space(&[
            0,
            FLUSH_ALL_PROCESSORS | FLUSH_ALL_SPACES | FLUSH_NON_GLOBAL,
            0,
        ]) == DONE
        && space(&[0, 0, 0]) == PARAMETER
        && space(&[0, 1 << 63, 1]) == PARAMETER
        && list(REPS, &[0, FLUSH_ALL_SPACES, 1, 0x1000, 0x2003]) == DONE
        && list(0, &[0, FLUSH_ALL_SPACES, 1, 0x1000]) == INPUT
        && space_of(&[0, 0, SET_SPARSE, 1, 1]) == DONE
        && space_of(&[0, 0, SET_SPARSE + 2, 1, 1]) == PARAMETER
        && list_of(&[0, 0, SET_SPARSE, 1, 1, 0x1000, 0x2000]) == DONE
}

fn signals() -> u64 {
    COUNTS[0].signals.load(SeqCst)
}

/// Whether the call succeeds, and an interrupt comes of it.
fn comes(call: impl FnOnce() -> u16) -> bool {
    let before = signals();
    call() == DONE && soon(|| signals() == before + 1)
}

/// To the one processor there is.
fn cluster_ipi() -> bool {
    let send = u64::from(HVCALL_SEND_IPI);
    let set = u64::from(HVCALL_SEND_IPI_EX);
    comes(|| fast(send, [VECTOR, 1]))
        && comes(|| hypercall(send, &[VECTOR, 1]))
        && comes(|| hypercall(send, &[VECTOR | u64::from(hv::VTL0) << 32, 1 << 63 | 1]))
        && comes(|| hypercall(set | BANK_1, &[VECTOR, SET_SPARSE, 1, 1]))
        && comes(|| hypercall(set, &[VECTOR, SET_ALL, 0]))
        && hypercall(send, &[15, 1]) == PARAMETER
        && hypercall(send, &[VECTOR | 0x11 << 32, 1]) == hv::HV_STATUS_INVALID_VTL_STATE
        && hypercall(set, &[VECTOR, SET_SPARSE, 1, 1]) == INPUT
        && hypercall(send | BANK_1, &[VECTOR, 1]) == INPUT
}

/// One interrupt to the processors of a mask; whether the host took it.
pub fn send(mask: u64) -> bool {
    fast(HVCALL_SEND_IPI.into(), [VECTOR, mask]) == DONE
}
