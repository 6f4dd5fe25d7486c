//! Further processors: how they are started, told to look, and asked to give up translations.
#![allow(unsafe_code)] // enters processors that have no stack yet; switches page tables

use crate::acpi_claims::Claims;
use crate::boot::Boot;
use crate::{apic, cpu, host, interrupts, memory, spaces, stacks, timer, traps, windows};
use core::sync::atomic::{AtomicU32, AtomicU64, Ordering};
use tessera_defs::refusal::Refusal;
use tessera_defs::x86::MSR_EFER;
use tessera_hw::{gdt, instr, start};
use tessera_isolation::strategy::traits::{Bridge, Pages, Start};
use tessera_objects::system::cpu::CPUS;
use tessera_objects::turn::{self, Patience, Request};

/// Vector by which a processor is told to look at its requests and its queues.
pub const VECTOR: u8 = 0x41;
/// Looks at a processor that was started, before it is given up.
const ARRIVAL: u32 = 5_000_000;
/// With a processor that was asked for something, before the guest gives up.
const PATIENCE: Patience = Patience {
    times: 64,
    looks: 1 << 22,
};

/// What a processor is asked for: forget translations of user pages.
const FLUSH: u32 = 1;
/// The same, and go to the kernel's own tables.
const LEAVE: u32 = 2;

static REQUESTS: [Request<AtomicU32>; CPUS] = [const { Request(AtomicU32::new(0)) }; CPUS];
static APIC_IDS: [AtomicU32; CPUS] = [const { AtomicU32::new(0) }; CPUS];
static STATES: [AtomicU32; CPUS] = [const { AtomicU32::new(NONE) }; CPUS];
static OWN_TABLES: AtomicU64 = AtomicU64::new(0);

const NONE: u32 = 0;
const STARTED: u32 = 1;
const GIVEN_UP: u32 = 2;
const ARRIVED: u32 = 3;

const PAGE: u64 = 4096;
/// Low memory in which code for real mode can stand, as far as the map says that it is memory.
const LOW: core::ops::Range<u64> = PAGE..0xA_0000;

/// The number of this processor, wherever it is.
pub fn number() -> u8 {
    gdt::number() % CPUS as u8
}

/// Tells processors, a bit each, to look.
#[inline(always)]
pub fn kick(processors: u8) {
    if processors != 0 {
        tell(processors);
    }
}

#[cold]
#[inline(never)]
fn tell(processors: u8) {
    for number in members(processors) {
        let id = APIC_IDS[number].load(Ordering::Relaxed);
        if apic::send(id, VECTOR.into()).is_none() {
            host::refuse(Refusal::HostCallDenied);
        }
    }
}

fn members(processors: u8) -> impl Iterator<Item = usize> {
    (0..CPUS).filter(move |number| processors >> number & 1 == 1)
}

/// Does what this processor is asked for. Called in its interrupt and while it waits for the lock.
pub fn answer() {
    REQUESTS[usize::from(number())].answer(|what| match what {
        LEAVE => own_tables(),
        _ => instr::flush_tlb(),
    });
}

/// Loads the kernel's own tables.
pub fn own_tables() {
    // SAFETY: they map all that the kernel uses.
    unsafe { instr::set_cr3(OWN_TABLES.load(Ordering::Relaxed)) }
}

/// Processor `cpu` lets go of the thread that it runs. By who has the kernel's lock.
pub fn stop(cpu: u8) {
    ask(1 << cpu, LEAVE);
}

/// Those processors, a bit each, forget translations. By who has the kernel's lock, after the tables
/// were changed and before what they led to is used for anything else.
pub fn flush(processors: u8) {
    if processors != 0 {
        ask(processors, FLUSH);
    }
}

/// All others forget translations of the kernel's half. By who has the kernel's lock, or at boot.
pub fn flush_all() {
    let here = |number: &usize| STATES[*number].load(Ordering::Acquire) == ARRIVED;
    let own = usize::from(number());
    let all = (0..CPUS).filter(|cpu| *cpu != own).filter(here);
    flush(all.fold(0, |mask, cpu| mask | 1 << cpu));
}

/// Asks, and waits until it is done. A host that withholds the interrupts ends the guest.
fn ask(processors: u8, what: u32) {
    if !turn::ask(
        &REQUESTS,
        processors,
        what,
        PATIENCE,
        tell,
        core::hint::spin_loop,
    ) {
        host::refuse(Refusal::ProcessorNotStarted)
    }
}

/// Starts those that the host claims, as far as the mode can and there is room, and says how many run.
pub fn start_all(boot: &Boot, claims: &Claims) {
    OWN_TABLES.store(instr::cr3(), Ordering::Relaxed);
    let why = host::processors(|strategy| strategy.alone());
    let own = apic::id().filter(|_| apic::ready());
    let run = match (claims.count, why, own) {
        (0 | 1, ..) => 1,
        (_, Some(why), _) => {
            log::info!("processors: only the first is used: {why}");
            1
        }
        (.., None) => {
            log::warn!("processors: only the first is used: no APIC to tell others by");
            1
        }
        (.., Some(own)) => start_claimed(boot, claims, own),
    };
    log::info!("processors: {run} of {} claimed run", claims.count.max(1));
}

fn start_claimed(boot: &Boot, claims: &Claims, own: u32) -> u32 {
    APIC_IDS[0].store(own, Ordering::Relaxed);
    let (first, count) = host::processors(|strategy| strategy.pages());
    if memory::with(|memory| memory.map_beside(first, count)).is_none() {
        log::warn!("processors: no tables for where the others wait");
        return 1;
    }
    let others = claims.ids().filter(|id| *id != own).take(CPUS - 1);
    let Some(bridge) = Road::build(boot) else {
        log::warn!("processors: no memory below 1 MiB from which others could start");
        return 1;
    };
    let mut all = true;
    let mut run = 1;
    for (number, id) in (1..CPUS as u8).zip(others) {
        match start_one(number, id, &bridge.start) {
            Ok(()) => run += 1,
            Err(refusal) => {
                all = false;
                let (name, guilty) = (refusal.name(), refusal.guilty().name());
                log::warn!("processors: {id} does not run: {name}, {guilty} at fault");
            }
        }
    }
    // One that comes late would still need it.
    if all {
        bridge.take_down();
    }
    run
}

fn start_one(number: u8, id: u32, start: &Start) -> Result<(), Refusal> {
    let slot = usize::from(number);
    APIC_IDS[slot].store(id, Ordering::Relaxed);
    STATES[slot].store(STARTED, Ordering::Release);
    let stack =
        memory::with(|memory| stacks::map(memory, number)).ok_or(Refusal::MemoryTooSmall)?;
    host::prepare_further(number)?;
    let gpa = memory::frame().keep();
    let room = Pages {
        gpa,
        virt: windows::direct(gpa),
        count: 1,
    };
    // SAFETY: the kernel's tables, on which the stack was mapped just now; the one before arrived, or
    // waits for ever.
    unsafe {
        start::prepare(
            OWN_TABLES.load(Ordering::Relaxed),
            stack,
            arrive,
            number.into(),
        )
    }
    for _ in 0..2 {
        let mut send = |id, command| apic::send(id, command).is_some();
        host::processors(|strategy| strategy.start(number, id, start, room, &mut send))?;
        for _ in 0..ARRIVAL {
            if STATES[slot].load(Ordering::Acquire) == ARRIVED {
                return Ok(());
            }
            core::hint::spin_loop();
        }
    }
    let late =
        STATES[slot].compare_exchange(STARTED, GIVEN_UP, Ordering::AcqRel, Ordering::Acquire);
    late.map_or(Ok(()), |_| Err(Refusal::ProcessorNotStarted))
}

/// A further processor's first function, on its own stack and the kernel's tables.
extern "sysv64" fn arrive(number: u64) -> ! {
    let number = number as u8;
    traps::install_further(number);
    let here = host::install_further(number)
        .and_then(|()| apic::enable())
        .and_then(|()| match timer::started() {
            true => timer::start_here(timer::PERIOD),
            false => Some(()),
        });
    interrupts::admit();
    let state = &STATES[usize::from(number)];
    let arrived = here.is_some()
        && state
            .compare_exchange(STARTED, ARRIVED, Ordering::AcqRel, Ordering::Relaxed)
            .is_ok();
    if !arrived {
        instr::halt_forever();
    }
    cpu::install();
    cpu::join()
}

/// What a processor goes over before it has the kernel's tables.
struct Road {
    start: Start,
    tables: u64,
    low: Option<u64>,
}

impl Road {
    fn build(boot: &Boot) -> Option<Self> {
        let kind = host::processors(|strategy| strategy.bridge());
        let tables = spaces::create()?;
        let start = Start {
            rip: start::entry as *const () as u64,
            cr3: tables,
            cr0: instr::cr0(),
            cr4: instr::cr4(),
            // SAFETY: reading EFER has no effect.
            efer: unsafe { instr::rdmsr(MSR_EFER) },
        };
        let low = match kind {
            Bridge::None => None,
            Bridge::At(page) => {
                spaces::map_bridge(tables, page)?;
                None
            }
            Bridge::Low => Some(low_code(boot, &start)?),
        };
        Some(Self { start, tables, low })
    }

    fn take_down(self) {
        spaces::destroy(self.tables);
        if let Some(page) = self.low {
            memory::with(|memory| memory.borrow_low(page, windows::zero_page));
        }
    }
}

/// Writes the code for real mode into a free page of low memory; it is writable in no mapping then.
fn low_code(boot: &Boot, start: &Start) -> Option<u64> {
    let fits = |(first, end): (u64, u64)| {
        let page = end.min(LOW.end).checked_sub(PAGE)? & !(PAGE - 1);
        (page >= first.max(LOW.start)).then_some(page)
    };
    let page = boot.usable().filter_map(fits).min()?;
    if start.cr3 >= 1 << 32 {
        return None;
    }
    let mut code = [0; start::CODE];
    host::processors(|strategy| strategy.code(page as u32, start, &mut code));
    memory::with(|memory| memory.borrow_low(page, |gpa| windows::fill(gpa, 0, &code)))?;
    spaces::map_bridge(start.cr3, page)?;
    Some(page)
}
