//! The local APIC's timer: x2APIC through the host-call strategy, or, on a plain machine
//! without x2APIC, its registers in memory. Intel SDM vol. 3, chapter 11.

use crate::{host, memory, windows};
use core::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use tessera_defs::x86::{MSR_APIC_BASE, x2apic};
use tessera_handoff::layout::DIRECT_MAP;

/// Vector of the timer.
pub const VECTOR: u8 = 0x40;
/// Vector of spurious interrupts.
pub const SPURIOUS: u8 = 0xFF;
const ENABLE: u64 = 1 << 8;
const PERIODIC: u64 = 1 << 17;
/// Divide by 16.
const DIVIDE: u64 = 3;
/// Ticks of the divided clock between interrupts.
pub const PERIOD: u64 = 200_000;
/// The first interrupt comes sooner: the boot waits for it. Not so soon that a slow host is kept busy.
const FIRST: u64 = PERIOD / 8;
const X2APIC_PRESENT: u32 = 1 << 21;
/// Registers of a local APIC in memory, a page.
pub const XAPIC: u64 = 0xFEE0_0000;
const XAPIC_ID: u64 = 0x20;
/// Interrupt mask registers of the two 8259 (OCW1).
const PIC_MASKS: [u16; 2] = [0x21, 0xA1];

static STARTED: AtomicBool = AtomicBool::new(false);
static TICKS: AtomicU64 = AtomicU64::new(0);
static UNASKED: AtomicU64 = AtomicU64::new(0);
/// Window of the registers in memory, as an offset for `windows`; 0 means x2APIC.
static REGISTERS: AtomicU64 = AtomicU64::new(0);

/// Starts periodic interrupts. A host that offers no timer is said; the kernel works without.
pub fn start() {
    let started = prepare().and_then(|()| {
        write(x2apic::SIVR, ENABLE | u64::from(SPURIOUS))?;
        write(x2apic::DIVIDE, DIVIDE)?;
        write(x2apic::LVT_TIMER, PERIODIC | u64::from(VECTOR))?;
        write(x2apic::INITIAL_COUNT, FIRST)
    });
    STARTED.store(started.is_some(), Ordering::Relaxed);
    if started.is_none() {
        log::warn!("timer: the host offers none");
    }
}

/// One interrupt.
pub fn tick() {
    let first = TICKS.fetch_add(1, Ordering::Relaxed) == 0;
    end_of_interrupt();
    if first && write(x2apic::INITIAL_COUNT, PERIOD).is_none() {
        log::warn!("timer: the host refused its period");
    }
}

/// Ends the interrupt in service.
pub fn end_of_interrupt() {
    if write(x2apic::EOI, 0).is_none() {
        log::warn!("timer: the host refused an end of interrupt");
    }
}

/// Interrupts so far.
pub fn ticks() -> u64 {
    TICKS.load(Ordering::Relaxed)
}

/// A vector that nobody asked for is counted, and ended: in service it would hold back the timer.
pub fn unasked_interrupt() {
    UNASKED.fetch_add(1, Ordering::Relaxed);
    if started() {
        end_of_interrupt();
    }
}

/// Vectors that nobody asked for.
pub fn unasked() -> u64 {
    UNASKED.load(Ordering::Relaxed)
}

/// Masks the legacy interrupt controllers, whose vectors are those of exceptions.
fn mask_legacy() -> Option<()> {
    host::with(|host| {
        PIC_MASKS
            .iter()
            .try_for_each(|port| host.io_out(*port, 1, 0xFF))
    })?
    .ok()
}

fn prepare() -> Option<()> {
    mask_legacy()?;
    let [_, _, ecx, _] = host::with(|host| host.cpuid(1, 0))?.ok()?;
    if ecx & X2APIC_PRESENT == 0 {
        let virt = memory::map_claim(XAPIC, 4096)?;
        REGISTERS.store(virt - DIRECT_MAP, Ordering::Relaxed);
        return Some(());
    }
    host::with(|host| {
        let base = host.rdmsr(MSR_APIC_BASE)?;
        let on = x2apic::BASE_EN | x2apic::BASE_EXTD;
        // Where x2APIC is the only mode, the register cannot be written.
        if base & on == on {
            return Ok(());
        }
        host.wrmsr(MSR_APIC_BASE, base | on)
    })?
    .ok()
}

/// Writes a register, named by its x2APIC MSR; in memory it stands at 16 times its number.
fn write(register: u32, value: u64) -> Option<()> {
    match REGISTERS.load(Ordering::Relaxed) {
        0 => host::with(|host| host.wrmsr(register, value))?.ok(),
        window => {
            windows::write_register(window + u64::from(register - 0x800) * 16, value as u32);
            Some(())
        }
    }
}

/// Number of this processor's local APIC.
pub fn apic_id() -> u32 {
    match REGISTERS.load(Ordering::Relaxed) {
        0 => host::with(|host| host.rdmsr(x2apic::ID))
            .and_then(Result::ok)
            .unwrap_or_default() as u32,
        window => windows::read_register(window + XAPIC_ID) >> 24,
    }
}

/// Whether the host took the timer's settings.
pub fn started() -> bool {
    STARTED.load(Ordering::Relaxed)
}
