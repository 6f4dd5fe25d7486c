//! The clock of timeouts. It never goes back; whose word it is, `INFO` tells.

use crate::boot::Boot;
use crate::{host, timer};
use core::sync::atomic::{AtomicU64, Ordering};
use spin::Once;
use tessera_abi::info::{CLOCK_HARDWARE, CLOCK_HOST};
use tessera_defs::hyperv as hv;
use tessera_defs::mode::HostProfile;
use tessera_hw::instr;
use tessera_isolation::strategy::clock::{Clock, LEAF, microseconds};
use tessera_isolation::strategy::traits::HostCalls;

/// Nominal microseconds between two timer interrupts: `timer::PERIOD` ticks of a 1 GHz bus clock,
/// divided by 16.
const TICK: u64 = timer::PERIOD * 16 / 1000;
/// The clock starts here, so that 0 and `wait::POLL` are no time.
const START: u64 = 1_000;

/// Where it comes from, and the time stamp at its start.
static CLOCK: Once<(Clock, u64)> = Once::new();
/// The latest time that a host's clock said.
static LATEST: AtomicU64 = AtomicU64::new(START);

/// Chooses the mode's clock; its name.
pub fn install(boot: &Boot) -> &'static str {
    let leaf = || {
        let leaf = instr::cpuid(LEAF, 0);
        [leaf.eax, leaf.ebx, leaf.ecx]
    };
    let told = || match boot.profile {
        HostProfile::HyperV => host::with(told_rate)?,
        HostProfile::Kvm => None,
    };
    let clock = Clock::of(boot.mode, leaf, told);
    CLOCK.call_once(|| (clock, instr::rdtsc()));
    clock.name()
}

/// The rate that a host with Hyper-V's interface tells (TLFS 12.5), of a time stamp that has but one (APM
/// vol. 3, Fn8000_0007_EDX, TscInvariant).
fn told_rate(host: &mut dyn HostCalls) -> Option<u64> {
    const INVARIANT: u32 = 1 << 8;
    let [_, _, _, one] = host.cpuid(0x8000_0007, 0).ok()?;
    let [eax, _, _, edx] = host.cpuid(hv::CPUID_FEATURES, 0).ok()?;
    let tells = eax & hv::FEATURE_EAX_FREQUENCIES != 0 && edx & hv::FEATURE_EDX_FREQUENCIES != 0;
    (tells && one & INVARIANT != 0).then(|| host.rdmsr(hv::MSR_TSC_FREQUENCY).ok())?
}

/// Microseconds, and how many more it may be.
fn read() -> (u64, u64) {
    let Some((Clock::TimeStamp { scale, trusted }, start)) = CLOCK.get() else {
        return (START + timer::ticks() * TICK, TICK);
    };
    let passed = instr::rdtsc().saturating_sub(*start);
    let now = START + microseconds(*scale, passed);
    match trusted {
        true => (now, 1),
        false => (now.max(LATEST.fetch_max(now, Ordering::Relaxed)), 1),
    }
}

/// Microseconds.
pub fn now() -> u64 {
    read().0
}

/// Whose word it is: `CLOCK_*`.
pub fn word() -> u64 {
    match CLOCK.get() {
        Some((Clock::TimeStamp { trusted: true, .. }, _)) => CLOCK_HARDWARE,
        _ => CLOCK_HOST,
    }
}

/// When a timeout of an argument ends; 0 for never.
pub fn deadline(microseconds: u32) -> u64 {
    match microseconds {
        0 => 0,
        tessera_abi::number::POLL => tessera_objects::system::wait::POLL,
        // A timeout is at least as long as it says: what has passed of the running tick does not count.
        us => {
            let (now, more) = read();
            now + u64::from(us) + more
        }
    }
}
