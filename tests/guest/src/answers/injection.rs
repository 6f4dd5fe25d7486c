//! What the host may inject, and how: processor 1 runs with restricted injection, then with
//! alternate injection, in VMPL 0 (APM vol. 2, 15.36.16; 56421, events 8000_0014h and 8000_0015h).
#![allow(unsafe_code)] // reason: STI, CLI, bytes of the doorbell page

use super::trap;
use crate::conformance::Probe;
use crate::processors::{calls, machine, snp, work};
use crate::window::{self, FREE};
use core::arch::asm;
use core::hint::spin_loop;
use core::sync::atomic::{AtomicBool, AtomicU8, AtomicU64, Ordering::SeqCst};
use machine::{COUNTS, SIGNAL, TIMER};
use tessera_defs::snp::doorbell::{PENDING_FLAGS, PENDING_VECTOR, flags, request as bell};
use tessera_defs::snp::ghcb::{ap_creation, exit};
use tessera_defs::snp::status::features::{ALTERNATE_INJECTION, RESTRICTED_INJECTION};
use tessera_defs::snp::vmsa::{Vmsa, vintr};
use tessera_defs::x86::x2apic;
use tessera_hw::instr;

const AREAS: u64 = FREE + 16 * 4096;
const DOORBELL: u64 = FREE + 23 * 4096;
/// Place of the doorbell page in the window.
const PLACE: usize = 16;
const ONE: u64 = 1 << 32;
const NMI: u64 = 4 << 8;
const INTERRUPT: u64 = ONE | SIGNAL as u64;
/// NoFurtherSignal, beside the vector.
const SIGNALLED: u64 = (flags::NO_FURTHER_SIGNAL as u64) << 8;

/// Orders to processor 1.
const CLOSE: u64 = 1;
const HALT: u64 = 2;
const CLEAR: u64 = 3;
const SET: u64 = 4;

/// #HV of processor 1, and the doorbell's vector and flags at the last one.
static CAME: AtomicU64 = AtomicU64::new(0);
static SEEN: AtomicU64 = AtomicU64::new(0);
/// Processor 1 takes nothing.
static HELD: AtomicBool = AtomicBool::new(false);

pub const KVM: &[(&str, Probe)] = &[
    // It has one way of injection for all, that of the launch.
    ("other-features", |_| {
        !create(0, |area| area.sev_features |= RESTRICTED_INJECTION)
            && !create(0, |area| area.sev_features |= ALTERNATE_INJECTION)
    }),
    // It cannot see IRET.
    ("nmi-until-complete", |_| {
        let nmis = || COUNTS[0].nmis.load(SeqCst);
        let came = |n| soon(|| nmis() == n);
        calls::send(NMI);
        let first = came(1);
        calls::send(NMI);
        // Each question is an entry that could bring it.
        let held = (0..100).all(|_| calls::apic_id() == 0 && nmis() == 1);
        calls::end_of_nmi();
        let second = came(2);
        calls::end_of_nmi();
        first && held && second
    }),
];

/// In order: each needs the one before.
pub const HYPERV: &[(&str, Probe)] = &[
    ("both-features", |_| {
        !create(0, |area| {
            area.sev_features |= RESTRICTED_INJECTION | ALTERNATE_INJECTION;
        })
    }),
    ("restricted", |machine| {
        crate::snp::share(DOORBELL);
        machine.guest.shared_at(PLACE, DOORBELL);
        let created = create(1, |area| {
            area.sev_features |= RESTRICTED_INJECTION;
            area.rip = restricted as *const () as u64;
        });
        created && soon(|| starts() == 1)
    }),
    ("interrupt-by-doorbell", |_| {
        rung(|| calls::send(INTERRUPT)) == Some(SIGNAL.into())
    }),
    ("ipi-by-event", |_| {
        let ipi = || {
            snp::clear();
            snp::send([exit::HV_IPI, INTERRUPT, 0], &[], 0);
        };
        rung(ipi) == Some(SIGNAL.into())
    }),
    ("nmi-by-doorbell", |_| {
        rung(|| calls::send(ONE | NMI)) == Some(u64::from(flags::NMI) << 8)
    }),
    ("no-further-signal", |_| {
        let before = CAME.load(SeqCst);
        let came = |n| CAME.load(SeqCst) == before + n;
        HELD.store(true, SeqCst);
        calls::send(INTERRUPT);
        let first = soon(|| came(1));
        calls::send(ONE | u64::from(TIMER));
        let still = for_a_while(|| came(1)) && byte(PENDING_VECTOR).load(SeqCst) == SIGNAL;
        HELD.store(false, SeqCst);
        let second = soon(|| came(2) && taken());
        first && still && second && SEEN.load(SeqCst) == u64::from(TIMER) | SIGNALLED
    }),
    ("interrupts-closed", |_| {
        order(CLOSE) && rung(|| calls::send(INTERRUPT)) == Some(SIGNAL.into())
    }),
    ("halt-with-interrupts-closed", |_| {
        let post = &work::POSTS[1].order;
        post.store(HALT, SeqCst);
        let halts = for_a_while(|| post.load(SeqCst) == HALT);
        let woken = rung(|| calls::send(INTERRUPT));
        halts && woken == Some(SIGNAL.into()) && soon(|| post.load(SeqCst) == 0)
    }),
    ("without-doorbell", |_| {
        let before = CAME.load(SeqCst);
        let cleared = order(CLEAR);
        calls::send(INTERRUPT);
        let waits = for_a_while(|| CAME.load(SeqCst) == before);
        cleared && waits && order(SET) && soon(|| CAME.load(SeqCst) == before + 1)
    }),
    // Whatever came, came by #HV.
    ("nothing-else", |_| {
        COUNTS[1].signals.load(SeqCst) == 0 && COUNTS[1].nmis.load(SeqCst) == 0
    }),
    // Interrupts are the save area's, and the host's come to nothing.
    ("alternate", |machine| {
        let signals = || COUNTS[1].signals.load(SeqCst);
        let destroyed = snp::stop(machine, 1);
        let created = create(2, |area| {
            area.sev_features |= ALTERNATE_INJECTION;
            area.vintr_ctrl = vintr::IRQ | u64::from(SIGNAL) << vintr::VECTOR_SHIFT;
            area.rip = alternating as *const () as u64;
        });
        let begun = destroyed && created && soon(|| starts() == 2 && signals() == 1);
        calls::send(INTERRUPT);
        calls::send(ONE | NMI);
        let alone = for_a_while(|| signals() == 1 && COUNTS[1].nmis.load(SeqCst) == 0);
        begun && alone
    }),
];

/// Whether the host starts processor 1 from save area `n`.
fn create(n: u64, change: impl FnOnce(&mut Vmsa)) -> bool {
    let gpa = AREAS + n * 4096;
    let features = snp::prepare_with(1, gpa, change);
    features.is_some_and(|features| snp::ap_creation(ONE | ap_creation::CREATE, gpa, features))
}

fn starts() -> u64 {
    work::POSTS[1].starts.load(SeqCst)
}

/// Gives processor 1 an order; whether it obeys.
fn order(what: u64) -> bool {
    let post = &work::POSTS[1].order;
    post.store(what, SeqCst);
    soon(|| post.load(SeqCst) == 0)
}

/// What the doorbell said, without NoFurtherSignal, at the one #HV that came of `act`.
fn rung(act: impl FnOnce()) -> Option<u64> {
    let before = CAME.load(SeqCst);
    act();
    let came = soon(|| CAME.load(SeqCst) == before + 1 && taken());
    let seen = SEEN.load(SeqCst);
    (came && seen & SIGNALLED != 0).then_some(seen & !SIGNALLED)
}

fn soon(what: impl Fn() -> bool) -> bool {
    (0..100_000).any(|_| {
        spin_loop();
        what()
    })
}

fn for_a_while(what: impl Fn() -> bool) -> bool {
    (0..2_000).all(|_| {
        spin_loop();
        what()
    })
}

/// A byte of the doorbell page.
fn byte(at: usize) -> &'static AtomicU8 {
    // SAFETY: the page is mapped in the window for ever, shared with the host, and used as atomic
    // bytes only.
    unsafe { &*((window::place(PLACE) + at as u64) as *const AtomicU8) }
}

/// Processor 1 took everything.
fn taken() -> bool {
    byte(PENDING_VECTOR).load(SeqCst) == 0 && byte(PENDING_FLAGS).load(SeqCst) == 0
}

/// #HV, which comes between any two instructions: it only notes what is there.
pub fn note() {
    let [vector, pending] =
        [PENDING_VECTOR, PENDING_FLAGS].map(|at| u64::from(byte(at).load(SeqCst)));
    SEEN.store(vector | pending << 8, SeqCst);
    CAME.fetch_add(1, SeqCst);
}

/// Takes what the doorbell says, and ends an interrupt.
fn take() {
    // In this order: what comes from now on is signalled again.
    byte(PENDING_FLAGS).store(0, SeqCst);
    if byte(PENDING_VECTOR).swap(0, SeqCst) != 0 {
        calls::end_of_interrupt();
    }
}

fn doorbell(request: u64) {
    snp::clear();
    snp::send([exit::HV_DOORBELL, request, DOORBELL], &[], 0);
}

/// The first Rust of a processor, with interrupts on.
fn begin(index: usize) {
    machine::prepare(index);
    trap::install();
    calls::join(index);
    calls::apic_write(x2apic::SIVR, 0x1FF);
}

fn begun(index: usize) {
    // SAFETY: the handlers are installed.
    unsafe { asm!("sti", options(nomem, nostack)) }
    work::POSTS[index].starts.fetch_add(1, SeqCst);
}

extern "sysv64" fn restricted(index: usize) -> ! {
    begin(index);
    doorbell(bell::SET);
    begun(index);
    let post = &work::POSTS[index].order;
    let mut seen = 0;
    loop {
        let came = CAME.load(SeqCst);
        if came != seen && !HELD.load(SeqCst) {
            seen = came;
            take();
        }
        match post.load(SeqCst) {
            0 => {
                spin_loop();
                continue;
            }
            // SAFETY: interrupts stay off from here on.
            CLOSE => unsafe { asm!("cli", options(nomem, nostack)) },
            HALT => instr::hlt(),
            CLEAR => doorbell(bell::CLEAR),
            _ => doorbell(bell::SET),
        }
        post.store(0, SeqCst);
    }
}

extern "sysv64" fn alternating(index: usize) -> ! {
    begin(index);
    begun(index);
    loop {
        spin_loop();
    }
}
