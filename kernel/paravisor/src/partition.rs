//! What all virtual processors of the guest have in common, behind one lock.
//!
//! A processor holds the lock for whole services: what it checked of a page still holds when it
//! reads, writes or changes that page. Nobody holds it while the lower guest runs or the processor
//! waits.
#![allow(unsafe_code)] // large tables stand in static memory; this takes them once

use crate::accept::Accepted;
use crate::memory::Memory;
use bootloader_api::BootInfo;
use bootloader_api::info::MemoryRegionKind;
use core::sync::atomic::{AtomicU64, Ordering};
use spin::{Mutex, Once};
use tessera_defs::refusal::Refusal;
use tessera_defs::x86::PAGE_SIZE;
use tessera_handoff::handoff::Handoff;
use tessera_handoff::launch::Component;
use tessera_handoff::layout::{PARAVISOR_VPS, REGION_FIRMWARE};
use tessera_isolation::strategy::traits::Attestation;
use tessera_objects::apic::io::IoApic;
use tessera_objects::page_set::PageSet;

/// RAM ranges at most.
const MAX_RAM: usize = 16;

static PARTITION: Once<Mutex<Partition>> = Once::new();
/// How often a page became the guest's. A processor that met a missing page before such a change
/// tries again.
static CHANGES: AtomicU64 = AtomicU64::new(0);
static mut ACCEPTED: [u64; 8192] = [0; 8192];
static mut SHARED: Shared = Shared::new();

/// Pages that the guest shares, in at most so many chunks of 2 MiB.
type Shared = PageSet<512>;

/// The guest as a whole.
pub struct Partition {
    /// What the hardware signs: the same strategy as an enlightened kernel's.
    pub attestation: &'static mut dyn Attestation,
    /// Direct map.
    pub memory: Memory,
    /// GUEST_OS_ID as the guest wrote it; it is the partition's (TLFS, 2.6).
    pub guest_os_id: u64,
    /// HYPERCALL as the guest wrote it.
    pub hypercall: u64,
    /// The guest's IOAPIC.
    pub io_apic: IoApic,
    /// What of RAM is accepted.
    pub accepted: Accepted,
    /// Which pages are not private: shared, or lost half-way to it.
    pub shared: &'static mut Shared,
    /// How many virtual processors it has: by the host's claim, as far as there is room.
    pub processors: usize,
    /// RAM outside the image, in the place of ROMs too: start and end; unused slots are empty.
    ram: [(u64, u64); MAX_RAM],
    /// Pages of RAM that came with the image, accepted from the start.
    pub loaded: [(u64, u64); 2],
}

impl Partition {
    /// Copies what it needs of the memory map, whose pages the lower guest will use again. Called once.
    pub fn install(
        info: &'static mut BootInfo,
        block: &Handoff,
        memory: Memory,
        attestation: &'static mut dyn Attestation,
    ) -> &'static Mutex<Self> {
        let ram = ram(info);
        let accepted = &raw mut ACCEPTED;
        let shared = &raw mut SHARED;
        // SAFETY: called once, so these are the only references to them.
        let (accepted, shared) = unsafe { (&mut *accepted, &mut *shared) };
        let partition = Self {
            attestation,
            memory,
            guest_os_id: 0,
            hypercall: 0,
            io_apic: IoApic::new(),
            accepted: Accepted::new(accepted),
            shared,
            processors: (block.vp_count as usize).clamp(1, PARAVISOR_VPS),
            ram,
            loaded: [&block.launch.kernel, &block.launch.bundle].map(loaded),
        };
        PARTITION.call_once(|| Mutex::new(partition))
    }

    /// A page became the guest's.
    pub fn changed(&mut self) {
        CHANGES.fetch_add(1, Ordering::Release);
    }

    /// Ranges of RAM outside the image: start and end.
    pub fn ram_ranges(&self) -> impl Iterator<Item = (u64, u64)> + use<> {
        self.ram.into_iter().filter(|(start, end)| start < end)
    }

    /// Whether `gpa` is RAM outside the image.
    pub fn in_ram(&self, gpa: u64) -> bool {
        self.ram_ranges()
            .any(|(start, end)| (start..end).contains(&gpa))
    }
}

/// What all have in common. Panics before it is installed.
pub fn get() -> &'static Mutex<Partition> {
    PARTITION.get().expect("the first processor installed it")
}

/// How many times `Partition::changed` was called, without the lock.
pub fn changes() -> u64 {
    CHANGES.load(Ordering::Acquire)
}

/// The pages of a component of the image; those in the image's own room are no RAM here.
fn loaded(component: &Component) -> (u64, u64) {
    let end = component.base.saturating_add(component.len);
    (component.base, end.next_multiple_of(PAGE_SIZE))
}

fn ram(info: &'static mut BootInfo) -> [(u64, u64); MAX_RAM] {
    let mut ram = [(0, 0); MAX_RAM];
    let regions = info.memory_regions.iter();
    let mut slots = ram.iter_mut();
    let firmware = MemoryRegionKind::UnknownBios(REGION_FIRMWARE);
    let given = |kind| kind == MemoryRegionKind::Usable || kind == firmware;
    for region in regions.filter(|region| given(region.kind)) {
        match slots.next() {
            Some(slot) => *slot = (region.start, region.end),
            None => crate::door::refuse(Refusal::MemoryMapInvalid),
        }
    }
    ram
}
