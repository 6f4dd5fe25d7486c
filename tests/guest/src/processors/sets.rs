//! Hypercalls to sets of processors. The host executes a flush at the latest with the next entry: only its
//! answers can be looked at.

use super::machine::{COUNTS, SIGNAL};
use super::probes::{Probe, soon};
use super::synthetic::{fast, hypercall};
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
];

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
