//! The strategies of this boot, behind one lock each, and the way out.
#![allow(unsafe_code)] // composes the strategies that the stub's decision allows

use crate::boot::Boot;
use crate::{memory, processors};
use core::sync::atomic::{AtomicU16, AtomicU64, Ordering};
use spin::{Mutex, Once};
use tessera_defs::mode::{HostProfile, Mode};
use tessera_defs::port::PM1A_SOFT_OFF;
use tessera_defs::refusal::Refusal;
use tessera_handoff::handoff::{Handoff, MAGIC};
use tessera_handoff::layout::{GHCB_PAGE, SHARED_MAP};
use tessera_hw::compose::{Acceptor, Calls, Machine};
use tessera_hw::{ghcb_page, instr};
use tessera_isolation::strategy::traits::{Attestation, HostCalls, PageVisibility, Processors};
use tessera_objects::system::cpu::CPUS;

/// Turns of a loop that a host has for soft off.
const GRACE: u64 = 500_000_000;

static MACHINE: Once<SyncMachine> = Once::new();
static PROCESSORS: Mutex<Option<&'static mut dyn Processors>> = Mutex::new(None);
/// Of each processor its own.
static HOSTS: [Mutex<Option<&'static mut dyn HostCalls>>; CPUS] =
    [const { Mutex::new(None) }; CPUS];
/// Pages of further processors that the host sees, for their calls.
static PAGES: [AtomicU64; CPUS] = [const { AtomicU64::new(0) }; CPUS];
static mut FURTHER: [Option<Calls>; CPUS] = [const { None }; CPUS];
static VISIBILITY: Mutex<Option<&'static mut dyn PageVisibility>> = Mutex::new(None);
static ATTESTATION: Mutex<Option<&'static mut dyn Attestation>> = Mutex::new(None);
/// The mode, and whether memory outside the image is the guest's from the start.
static MODE: Once<(Mode, bool)> = Once::new();
static PM1A: AtomicU16 = AtomicU16::new(0);

/// The machine's storage: taken apart once, by `install`.
struct SyncMachine(core::cell::UnsafeCell<Machine>);
// SAFETY: only `install` looks inside, once, before any second context exists.
unsafe impl Sync for SyncMachine {}
// SAFETY: as above.
unsafe impl Send for SyncMachine {}

/// Says which door is the architectural one, before anything can trap: without it a refusal
/// would halt, and each HLT be a host call of its own.
pub fn door(handoff: &Handoff) {
    if let Some(mode) = Mode::from_u32(handoff.mode).filter(|_| handoff.magic == MAGIC) {
        tessera_hw::exit::set_mode(mode);
    }
}

/// Selects the strategies. Called once.
pub fn install(boot: &Boot) {
    let private = boot.handoff.comes_private != 0;
    let ghcb = SHARED_MAP + GHCB_PAGE;
    // SAFETY: the stub decided on the mode and prepared its GHCB.
    let machine = unsafe {
        let hyperv = boot.handoff.profile == HostProfile::HyperV as u32;
        ghcb_page::one_a_processor(own_page);
        Machine::new(boot.mode, hyperv, private, ghcb, GHCB_PAGE)
    };
    assert!(!MACHINE.is_completed(), "strategies are selected once");
    let cell = MACHINE.call_once(|| SyncMachine(machine.into()));
    // SAFETY: the only reference ever made, see the assertion above.
    let strategies = unsafe { (*cell.0.get()).strategies() };
    *HOSTS[0].lock() = Some(strategies.host);
    *PROCESSORS.lock() = Some(strategies.processors);
    MODE.call_once(|| (boot.mode, private));
    *VISIBILITY.lock() = Some(strategies.visibility);
    *ATTESTATION.lock() = Some(strategies.attestation);
    PM1A.store(boot.handoff.pm1a_cnt as u16, Ordering::Relaxed);
}

/// Runs `f` with the host-call strategy, interrupts off. `None` before `install`, or where an
/// exception interrupted another host call.
pub fn with<R>(f: impl FnOnce(&mut dyn HostCalls) -> R) -> Option<R> {
    instr::without_interrupts(|| {
        let mut guard = HOSTS[usize::from(processors::number())].try_lock()?;
        Some(f(&mut **guard.as_mut()?))
    })
}

/// Where this processor's page is that it shares with the host: mapped at, and address.
fn own_page() -> (u64, u64) {
    let gpa = match processors::number() {
        0 => GHCB_PAGE,
        number => PAGES[usize::from(number)].load(Ordering::Acquire),
    };
    (SHARED_MAP + gpa, gpa)
}

/// What a further processor will need of the host, made by another one before it starts. Errors: who
/// shares no page.
pub fn prepare_further(number: u8) -> Result<(), Refusal> {
    let page = &PAGES[usize::from(number)];
    let needed = MODE.get().is_some_and(|(mode, _)| Calls::need_page(*mode));
    if needed && page.load(Ordering::Acquire) == 0 {
        let shared = memory::share(memory::frame())?;
        page.store(shared.address(), Ordering::Release);
    }
    Ok(())
}

/// Host calls of a further processor, made by itself. `None` where the mode has none.
pub fn install_further(number: u8) -> Option<()> {
    let (mode, _) = *MODE.get()?;
    // SAFETY: the stub decided on the mode.
    let calls = unsafe { Calls::further(mode, own_page())? };
    // SAFETY: the processor of this number alone uses this slot, and refers to it once: where it was
    // started a second time, its first try left nothing.
    let slot = unsafe {
        let all = &raw mut FURTHER;
        &mut (*all)[usize::from(number)]
    };
    *HOSTS[usize::from(number)].lock() = Some(slot.insert(calls).calls());
    Some(())
}

/// Runs `f` with the strategy that starts processors.
pub fn processors<R>(f: impl FnOnce(&mut dyn Processors) -> R) -> R {
    let mut guard = PROCESSORS.lock();
    let Some(strategy) = guard.as_mut() else {
        refuse(Refusal::HandoffInvalid)
    };
    f(&mut **strategy)
}

/// Runs `f` with the page-visibility strategy.
pub fn visibility<R>(f: impl FnOnce(&mut dyn PageVisibility) -> R) -> R {
    let mut guard = VISIBILITY.lock();
    let Some(strategy) = guard.as_mut() else {
        refuse(Refusal::HandoffInvalid)
    };
    f(&mut **strategy)
}

/// Acceptance by this processor, under no lock. Interrupts are off.
pub fn acceptor() -> Acceptor {
    let Some((mode, private)) = MODE.get() else {
        refuse(Refusal::HandoffInvalid)
    };
    // SAFETY: the stub decided on the mode; the GHCB was registered before this processor took part, and
    // interrupts are off, so that no exchange is interrupted.
    unsafe { Acceptor::new(*mode, *private, own_page()) }
}

/// Whether a paravisor accepts what is touched.
pub fn below() -> bool {
    let mode = MODE.get().map(|(mode, _)| *mode);
    matches!(mode, Some(Mode::SnpParavisor | Mode::TdxParavisor))
}

/// Runs `f` with the attestation strategy.
pub fn attestation<R>(f: impl FnOnce(&mut dyn Attestation) -> R) -> R {
    let mut guard = ATTESTATION.lock();
    let Some(strategy) = guard.as_mut() else {
        refuse(Refusal::HandoffInvalid)
    };
    f(&mut **strategy)
}

/// The port of soft off.
pub fn soft_off() -> u16 {
    PM1A.load(Ordering::Relaxed)
}

/// Soft off: the orderly end.
pub fn shutdown() -> ! {
    crate::console::emergency(format_args!("tessera: shutdown\n"));
    let port = PM1A.load(Ordering::Relaxed);
    let _answer = with(|host| host.io_out(port, 2, PM1A_SOFT_OFF.into()));
    // Real machines, and plain QEMU, go on for a moment after the write.
    for _ in 0..GRACE {
        core::hint::spin_loop();
    }
    tessera_hw::exit::fatal(Refusal::Starved.code())
}

/// Stops by the architectural door, naming the reason.
pub fn refuse(refusal: Refusal) -> ! {
    crate::console::emergency(format_args!(
        "tessera: refused {}: {}; {}\n",
        refusal.name(),
        refusal.cause(),
        refusal.remedy()
    ));
    tessera_hw::exit::fatal(refusal.code())
}
