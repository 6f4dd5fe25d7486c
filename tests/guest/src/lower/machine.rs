//! What probes use: the console, the hypercall of the vendor, handlers, and the timer's tick.
#![allow(unsafe_code)] // reason: installs tables once; ports, MSRs and hypercalls are probed

use crate::window::{Guest, die};
use bootloader_api::info::{MemoryRegion, MemoryRegionKind};
use core::fmt::{self, Write};
use core::sync::atomic::{AtomicU64, Ordering};
use tessera_defs::hyperv as hv;
use tessera_defs::mode::Mode;
use tessera_defs::port::{COM1, PM1A_CNT, PM1A_SOFT_OFF};
use tessera_defs::x86::x2apic;
use tessera_handoff::handoff::Handoff;
use tessera_handoff::layout::{DIRECT_MAP, EXCHANGE_PAGE, STACK_TOP};
use tessera_hw::gdt::{Segments, Stacks};
use tessera_hw::idt::Idt;
use tessera_hw::trap::{self, TrapFrame};
use tessera_hw::{instr, isolation};

/// Vector of the timer.
pub const TIMER: u8 = 0x60;

static mut SEGMENTS: Segments = Segments::new();
static mut TABLE: Idt = Idt::new();
static TICKS: AtomicU64 = AtomicU64::new(0);

/// The guest and the paravisor's interface.
pub struct Lower {
    /// Its window on memory.
    pub guest: Guest,
    /// The mode that it was started in.
    pub mode: Mode,
    ram: &'static [MemoryRegion],
    /// The bit of a shared page's address.
    pub shared_bit: u32,
}

impl Lower {
    /// Installs handlers. Called once.
    pub fn new(info: &'static mut bootloader_api::BootInfo, handoff: &'static Handoff) -> Self {
        let stacks = Stacks {
            ring0: STACK_TOP,
            ist: [0; 7],
        };
        // SAFETY: called once, on the only processor; there is no ring 3.
        unsafe {
            let (segments, table) = (&raw mut SEGMENTS, &raw mut TABLE);
            (*segments).install(0, stacks);
            trap::set_handler(handle);
            (*table).install(|_| 0);
        }
        Self {
            guest: Guest::new(handoff),
            mode: Mode::from_u32(handoff.mode).unwrap_or(Mode::None),
            ram: &info.memory_regions,
            shared_bit: handoff.shared_bits.trailing_zeros(),
        }
    }

    /// Usable memory outside the image, by addresses of its first byte and behind its last.
    pub fn usable(&self) -> impl Iterator<Item = core::ops::Range<u64>> + use<> {
        let regions = self.ram.iter();
        regions
            .filter(|region| region.kind == MemoryRegionKind::Usable)
            .map(|region| region.start..region.end)
    }

    /// A hypercall by the vendor's instruction, without output: the result value.
    pub fn hypercall(&self, control: u64, input: u64) -> u64 {
        self.hypercall_to(control, input, 0)
    }

    /// The same with output.
    pub fn hypercall_to(&self, control: u64, input: u64, output: u64) -> u64 {
        // SAFETY: calls here concern only memory that Rust does not own.
        unsafe {
            match self.mode {
                Mode::TdxParavisor => isolation::vmcall(control, input, output),
                _ => isolation::vmmcall(control, input, output),
            }
        }
    }

    /// The visibility hypercall for pages of 4 KiB by number; its input stands in the
    /// exchange page.
    pub fn visibility(&self, pages: &[u64], kind: u32) -> u64 {
        let code = hv::HVCALL_MODIFY_SPARSE_GPA_PAGE_HOST_VISIBILITY;
        let control = u64::from(code) | (pages.len() as u64) << hv::HYPERCALL_REP_COUNT_SHIFT;
        let header = [hv::PARTITION_SELF, kind.into()];
        for (n, word) in header.iter().chain(pages).enumerate() {
            crate::window::put(DIRECT_MAP + EXCHANGE_PAGE + n as u64 * 8, *word);
        }
        self.hypercall(control, EXCHANGE_PAGE)
    }
}

/// Ticks of the timer so far.
pub fn ticks() -> u64 {
    TICKS.load(Ordering::Relaxed)
}

/// STI.
pub fn enable_interrupts() {
    // SAFETY: the handlers are installed.
    unsafe { core::arch::asm!("sti", options(nomem, nostack)) }
}

fn handle(frame: &mut TrapFrame) {
    if frame.vector == u64::from(TIMER) {
        TICKS.fetch_add(1, Ordering::Relaxed);
        // SAFETY: ends the interrupt that came just now.
        unsafe { instr::wrmsr(x2apic::EOI, 0) };
        return;
    }
    let (vector, rip) = (frame.vector, frame.rip);
    say(format_args!("exception {vector} at {rip:#x}\n"));
    die()
}

struct Console;

impl Write for Console {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        // SAFETY: the console's port.
        text.bytes()
            .for_each(|byte| unsafe { instr::out8(COM1, byte) });
        Ok(())
    }
}

/// Prints.
pub fn say(text: fmt::Arguments<'_>) {
    let _never_fails = Console.write_fmt(text);
}

/// Soft off. Comes back only where it does not work.
pub fn shut_down() {
    // SAFETY: the machine is to stop.
    unsafe { instr::out16(PM1A_CNT, PM1A_SOFT_OFF) };
}
