//! The local APIC: x2APIC through the host-call strategy, or, on a plain machine without x2APIC, its
//! registers in memory. Intel SDM vol. 3, chapter 11.

use crate::{host, memory, windows};
use core::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use tessera_defs::x86::{MSR_APIC_BASE, x2apic};
use tessera_handoff::layout::DIRECT_MAP;

/// Vector of spurious interrupts.
pub const SPURIOUS: u8 = 0xFF;
const ENABLE: u64 = 1 << 8;
const X2APIC_PRESENT: u32 = 1 << 21;
/// Registers of a local APIC in memory, a page.
pub const XAPIC: u64 = 0xFEE0_0000;
/// Interrupt mask registers of the two 8259 (OCW1).
const PIC_MASKS: [u16; 2] = [0x21, 0xA1];

/// Window of the registers in memory, as an offset for `windows`; 0 means x2APIC.
static REGISTERS: AtomicU64 = AtomicU64::new(0);
static READY: AtomicBool = AtomicBool::new(false);

/// Finds out how the registers are reached, and turns the first processor's APIC on. `None` where the
/// host refuses.
pub fn start() -> Option<()> {
    mask_legacy()?;
    let [_, _, ecx, _] = host::with(|host| host.cpuid(1, 0))?.ok()?;
    if ecx & X2APIC_PRESENT == 0 {
        let virt = memory::map_claim(XAPIC, 4096)?;
        REGISTERS.store(virt - DIRECT_MAP, Ordering::Relaxed);
    }
    enable()?;
    READY.store(true, Ordering::Relaxed);
    Some(())
}

/// Turns this processor's APIC on.
pub fn enable() -> Option<()> {
    if REGISTERS.load(Ordering::Relaxed) == 0 {
        host::with(|host| {
            let base = host.rdmsr(MSR_APIC_BASE)?;
            let on = x2apic::BASE_EN | x2apic::BASE_EXTD;
            // Where x2APIC is the only mode, the register cannot be written.
            if base & on == on {
                return Ok(());
            }
            host.wrmsr(MSR_APIC_BASE, base | on)
        })?
        .ok()?;
    }
    write(x2apic::SIVR, ENABLE | u64::from(SPURIOUS))
}

/// Whether interrupts can be sent and ended.
pub fn ready() -> bool {
    READY.load(Ordering::Relaxed)
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

/// Ends an interrupt.
pub fn end_of_interrupt() {
    if write(x2apic::EOI, 0).is_none() {
        log::warn!("apic: the host refused an end of interrupt");
    }
}

/// APIC ID of this processor.
pub fn id() -> Option<u32> {
    match REGISTERS.load(Ordering::Relaxed) {
        0 => Some(host::with(|host| host.rdmsr(x2apic::ID))?.ok()? as u32),
        window => Some(windows::read_register(window + offset(x2apic::ID)) >> 24),
    }
}

/// Sends an interprocessor interrupt: the low half of the command register, to one APIC ID.
pub fn send(id: u32, command: u32) -> Option<()> {
    if REGISTERS.load(Ordering::Relaxed) == 0 {
        return write(x2apic::ICR, u64::from(command) | u64::from(id) << 32);
    }
    write(x2apic::ICR + 1, u64::from(id) << 24)?;
    write(x2apic::ICR, command.into())
}

/// Writes a register, named by its x2APIC MSR; in memory it stands at 16 times its number.
pub fn write(register: u32, value: u64) -> Option<()> {
    match REGISTERS.load(Ordering::Relaxed) {
        0 => host::with(|host| host.wrmsr(register, value))?.ok(),
        window => {
            windows::write_register(window + offset(register), value as u32);
            Some(())
        }
    }
}

fn offset(register: u32) -> u64 {
    u64::from(register - 0x800) * 16
}
