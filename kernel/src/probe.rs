//! What the kernel tries once, before anything depends on it.

use crate::boot::Boot;
use crate::{host, memory, timer, windows};
use core::sync::atomic::{AtomicBool, Ordering};
use tessera_defs::hyperv::{
    GUEST_OS_ID, HVCALL_NOTIFY_LONG_SPIN_WAIT, HYPERCALL_FAST, MSR_GUEST_OS_ID,
};
use tessera_defs::mode::HostProfile;
use tessera_defs::refusal::Refusal;
use tessera_handoff::layout::{DIRECT_MAP, SHARED_MAP};
use tessera_isolation::strategy::traits::HostCalls;
use tessera_protocol::error::{Error, Result as Answer};
use tessera_protocol::hyperv;

static ANSWERED: AtomicBool = AtomicBool::new(false);

/// Whether the host takes hypercalls, and this mode has a way to them.
pub fn hypercalls() -> bool {
    ANSWERED.load(Ordering::Relaxed)
}

const PATTERN: u64 = 0x5465_7373_6572_6121;

/// Shares a frame, writes through the shared mapping, takes it back, and checks that what comes
/// back is zero and writable. A host that claims more than it did ends the boot here.
pub fn visibility_round_trip() {
    if let Err(refusal) = round_trip() {
        host::refuse(refusal);
    }
}

fn round_trip() -> Result<(), Refusal> {
    let shared = memory::share(memory::frame())?;
    let window = shared.address() + (SHARED_MAP - DIRECT_MAP);
    windows::write_word(window, PATTERN);
    if windows::read_word(window) != PATTERN {
        return Err(Refusal::VisibilityLied);
    }
    let frame = memory::unshare(shared)?;
    let gpa = frame.address();
    windows::write_word(gpa, PATTERN);
    if windows::read_word(gpa) != PATTERN {
        return Err(Refusal::VisibilityLied);
    }
    memory::free(frame);
    Ok(())
}

/// One hypercall of which the host needs to do nothing, where the host has hypercalls and this
/// mode has a way to them. A result that cannot be ends the boot.
pub fn hypercall(boot: &Boot) {
    if boot.profile != HostProfile::HyperV {
        return;
    }
    match host::with(spin_wait) {
        Some(Ok(())) => {
            ANSWERED.store(true, Ordering::Relaxed);
            log::info!("hypercall: answered");
        }
        Some(Err(Error::Guest(_))) => {}
        _ => host::refuse(Refusal::HypercallReplyInvalid),
    }
}

/// TLFS 3.13: a guest names itself before its first hypercall.
fn spin_wait(host: &mut dyn HostCalls) -> Answer<()> {
    let control = hyperv::control(HVCALL_NOTIFY_LONG_SPIN_WAIT, 0);
    host.wrmsr(MSR_GUEST_OS_ID, GUEST_OS_ID)?;
    let result = host.hypercall(control | HYPERCALL_FAST, 1, 0)?;
    hyperv::check(control, result)
}

/// Halts until the first timer interrupt, by the instruction itself: on a plain machine it
/// stops the processor, elsewhere it is a host call behind an exception. Without a timer there
/// is nothing to wait for.
pub fn halt_until_tick() {
    while timer::started() && timer::ticks() == 0 {
        tessera_hw::instr::wait_for_interrupt();
    }
    tessera_hw::instr::disable_interrupts();
}
