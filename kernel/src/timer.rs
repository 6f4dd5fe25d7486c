//! The local APIC's timer. Each processor has its own, for time slices; the first one's is the clock.

use crate::{apic, processors};
use core::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use tessera_defs::x86::x2apic;

/// Vector of the timer.
pub const VECTOR: u8 = 0x40;
const PERIODIC: u64 = 1 << 17;
/// Divide by 16.
const DIVIDE: u64 = 3;
/// Ticks of the divided clock between interrupts.
pub const PERIOD: u64 = 200_000;
/// The first interrupt comes sooner: the boot waits for it. Not so soon that a slow host is kept busy.
const FIRST: u64 = PERIOD / 8;

static STARTED: AtomicBool = AtomicBool::new(false);
static TICKS: AtomicU64 = AtomicU64::new(0);
static UNASKED: AtomicU64 = AtomicU64::new(0);

/// Starts periodic interrupts. A host that offers no timer is said; the kernel works without.
pub fn start() {
    let started = apic::start().and_then(|()| start_here(FIRST));
    STARTED.store(started.is_some(), Ordering::Relaxed);
    if started.is_none() {
        log::warn!("timer: the host offers none");
    }
}

/// Starts this processor's.
pub fn start_here(first: u64) -> Option<()> {
    apic::write(x2apic::DIVIDE, DIVIDE)?;
    apic::write(x2apic::LVT_TIMER, PERIODIC | u64::from(VECTOR))?;
    apic::write(x2apic::INITIAL_COUNT, first)
}

/// One interrupt.
pub fn tick() {
    let clock = processors::number() == 0;
    let first = clock && TICKS.fetch_add(1, Ordering::Relaxed) == 0;
    apic::end_of_interrupt();
    if first && apic::write(x2apic::INITIAL_COUNT, PERIOD).is_none() {
        log::warn!("timer: the host refused its period");
    }
}

/// Interrupts so far.
pub fn ticks() -> u64 {
    TICKS.load(Ordering::Relaxed)
}

/// A vector that nobody asked for is counted, and ended: in service it would hold back the timer.
pub fn unasked_interrupt() {
    UNASKED.fetch_add(1, Ordering::Relaxed);
    if apic::ready() {
        apic::end_of_interrupt();
    }
}

/// Vectors that nobody asked for.
pub fn unasked() -> u64 {
    UNASKED.load(Ordering::Relaxed)
}

/// Whether the host took the timer's settings.
pub fn started() -> bool {
    STARTED.load(Ordering::Relaxed)
}
