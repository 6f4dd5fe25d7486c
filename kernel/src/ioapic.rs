//! The IOAPIC that the host claims, or that a paravisor emulates. Source: Intel 82093AA datasheet (290566-001), chapter 3.
//!
//! Its registers are device memory: plain loads and stores, each of which is a host call behind
//! #VC or #VE where something is isolated. What it says and does is the host's word; a line that
//! never comes is a driver that waits.

use crate::boot::{self, Boot};
use crate::{apic, interrupts, memory, windows};
use core::sync::atomic::{AtomicU32, AtomicU64, Ordering};
use tessera_handoff::layout::DIRECT_MAP;
use tessera_objects::system::interrupt::LINES;
use tessera_objects::tables::{Access, Mapping};

const LEN: u64 = 0x20;
/// The data register, behind the index register.
const DATA: u64 = 0x10;
const VERSION: u32 = 1;
/// The first entry; two registers each.
const ENTRIES: u32 = 0x10;
const MASKED: u32 = 1 << 16;
/// Of an entry: active low, level.
const LOW: u32 = 1 << 13;
const LEVEL: u32 = 1 << 15;

/// Window of the registers; 0: there is none.
static WINDOW: AtomicU64 = AtomicU64::new(0);
/// Address and number of lines.
static ADDRESS: AtomicU64 = AtomicU64::new(0);
static COUNT: AtomicU32 = AtomicU32::new(0);
/// Lines that are not masked, a bit each; and of each line whether it is level, or low.
static OPEN: AtomicU32 = AtomicU32::new(0);
static LEVELS: AtomicU32 = AtomicU32::new(0);
static LOWS: AtomicU32 = AtomicU32::new(0);

/// Takes the one that the host claims, or, below a paravisor, the one that it emulates in private
/// memory (docs/pfe.md).
pub fn install(boot: &Boot, claim: Option<u64>, emulated: Option<u64>) {
    let (found, how) = match boot.handoff.paravisor_below {
        0 => (claim, Mapping::SHARED),
        _ => (emulated, Mapping::kernel(Access::Write)),
    };
    let Some(gpa) = found else { return };
    if boot::is_memory(gpa, LEN) || !gpa.is_multiple_of(1024) {
        return log::info!("ioapic: claimed where none can be");
    }
    let Some(window) = memory::map_registers(gpa, LEN, how).map(|virt| virt - DIRECT_MAP) else {
        return;
    };
    WINDOW.store(window, Ordering::Relaxed);
    ADDRESS.store(gpa, Ordering::Relaxed);
    let version = read(VERSION);
    let count = (version >> 16 & 0xFF) + 1;
    COUNT.store(count.min(LINES.into()), Ordering::Relaxed);
    log::info!("ioapic: version register {version:#x}");
}

/// Its lines; 0 where there is none.
pub fn lines() -> u32 {
    COUNT.load(Ordering::Relaxed)
}

/// Whether its page is touched.
pub fn overlaps(gpa: u64, len: u64) -> bool {
    let page = ADDRESS.load(Ordering::Relaxed) & !0xFFF;
    lines() != 0 && gpa < page + 0x1000 && page < gpa + len
}

/// How a line that exists tells.
pub fn configure(line: u32, level: bool, low: bool) {
    for (bits, yes) in [(&LEVELS, level), (&LOWS, low)] {
        bits.fetch_and(!(1 << line), Ordering::Relaxed);
        bits.fetch_or(u32::from(yes) << line, Ordering::Relaxed);
    }
}

/// Lets a line come, to this processor.
pub fn open(line: u32) {
    OPEN.fetch_or(1 << line, Ordering::Relaxed);
    write(ENTRIES + line * 2 + 1, apic::id().unwrap_or_default() << 24);
    write(ENTRIES + line * 2, entry(line));
}

fn entry(line: u32) -> u32 {
    let is = |bits: &AtomicU32| bits.load(Ordering::Relaxed) >> line & 1;
    interrupts::vector(line as u8 + 1) | (is(&LEVELS) * LEVEL) | (is(&LOWS) * LOW)
}

/// Masks a line, if it is not. The vector stays: the end of an interrupt finds its line by it.
pub fn close(line: u32) {
    if OPEN.fetch_and(!(1 << line), Ordering::Relaxed) >> line & 1 == 1 {
        write(ENTRIES + line * 2, entry(line) | MASKED);
    }
}

fn read(register: u32) -> u32 {
    let window = WINDOW.load(Ordering::Relaxed);
    windows::write_register(window, register);
    windows::read_register(window + DATA)
}

fn write(register: u32, value: u32) {
    let window = WINDOW.load(Ordering::Relaxed);
    windows::write_register(window, register);
    windows::write_register(window + DATA, value);
}
