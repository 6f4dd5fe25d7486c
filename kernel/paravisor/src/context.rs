//! What the paravisor knows: its host, its memory, and the lower guest's machine.
#![allow(unsafe_code)] // composes the strategies of the context in which the paravisor runs

use crate::accept::Accepted;
use crate::apic::Apic;
use crate::lower::LowerGuest;
use crate::memory::Memory;
use bootloader_api::BootInfo;
use bootloader_api::info::MemoryRegionKind;
use tessera_defs::mode::Mode;
use tessera_defs::refusal::Refusal;
use tessera_defs::x86::PAGE_SIZE;
use tessera_handoff::handoff::{Handoff, MAGIC};
use tessera_handoff::layout::{GHCB_PAGE, SHARED_MAP};
use tessera_hw::compose::{Machine, Strategies};
use tessera_isolation::strategy::traits::{Attestation, HostCalls, PageVisibility};
use tessera_objects::page_set::PageSet;

/// RAM ranges at most.
const MAX_RAM: usize = 16;

static mut MACHINE: Option<Machine> = None;
static mut ACCEPTED: [u64; 8192] = [0; 8192];
static mut SHARED: Shared = Shared::new();

/// Pages that the guest shares, in at most so many chunks of 2 MiB.
type Shared = PageSet<512>;

/// The paravisor.
pub struct Paravisor<'a> {
    /// The mode of the lower guest.
    pub mode: Mode,
    /// Calls to the host: the same strategy as an enlightened kernel's.
    pub host: &'static mut dyn HostCalls,
    /// Page states, likewise.
    pub visibility: &'static mut dyn PageVisibility,
    /// What the hardware signs, likewise.
    pub attestation: &'static mut dyn Attestation,
    /// Direct map.
    pub memory: Memory,
    /// The lower guest.
    pub lower: &'a mut dyn LowerGuest,
    /// Its local APIC.
    pub apic: Apic,
    /// GUEST_OS_ID as it wrote it.
    pub guest_os_id: u64,
    /// Where it starts.
    pub lower_entry: u64,
    /// What of RAM is accepted.
    pub accepted: Accepted,
    /// Which pages are not private: shared, or lost half-way to it.
    pub shared: &'static mut Shared,
    /// Usable RAM outside the image: start and end; unused slots are empty.
    ram: [(u64, u64); MAX_RAM],
}

/// The lower guest's mode, by the stub's hand-over. From here on a refusal has its door.
pub fn mode(block: &Handoff) -> Mode {
    let mode = Mode::from_u32(block.mode).filter(|_| block.magic == MAGIC);
    let mode = mode.unwrap_or(Mode::None);
    crate::door::install(mode);
    mode
}

/// The mode of an enlightened kernel in the paravisor's place: what it uses itself.
pub fn own_mode(mode: Mode) -> Mode {
    match mode {
        Mode::TdxParavisor => Mode::Tdx,
        _ => Mode::Snp,
    }
}

fn strategies(mode: Mode, block: &Handoff) -> Strategies {
    let (private, ghcb) = (block.comes_private != 0, SHARED_MAP + GHCB_PAGE);
    // SAFETY: the stub proved the platform; on SNP it shared and registered this GHCB and
    // mapped it there. Called once, so this is the only reference to the storage.
    unsafe {
        let machine = &raw mut MACHINE;
        let machine = &mut *machine;
        let new = Machine::new(own_mode(mode), private, ghcb, GHCB_PAGE);
        machine.insert(new).strategies()
    }
}

impl<'a> Paravisor<'a> {
    /// Copies what it needs from the hand-over, whose pages the lower guest will use again.
    /// Called once.
    pub fn new(
        mode: Mode,
        info: &'static mut BootInfo,
        block: &'static Handoff,
        memory: Memory,
        lower: &'a mut dyn LowerGuest,
    ) -> Self {
        let mut ram = [(0, 0); MAX_RAM];
        let usable = info
            .memory_regions
            .iter()
            .filter(|r| r.kind == MemoryRegionKind::Usable);
        let mut slots = ram.iter_mut();
        for region in usable {
            match slots.next() {
                Some(slot) => *slot = (region.start, region.end),
                None => crate::door::refuse(Refusal::MemoryMapInvalid),
            }
        }
        let Strategies {
            host,
            visibility,
            attestation,
        } = strategies(mode, block);
        let accepted = &raw mut ACCEPTED;
        let shared = &raw mut SHARED;
        // SAFETY: called once, so these are the only references to them.
        let (accepted, shared) = unsafe { (&mut *accepted, &mut *shared) };
        Self {
            mode,
            host,
            visibility,
            attestation,
            memory,
            lower,
            apic: Apic::default(),
            guest_os_id: 0,
            lower_entry: block.lower_entry,
            accepted: Accepted::new(accepted),
            shared,
            ram,
        }
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

    /// Whether a page belongs to the lower guest, to change its visibility; then its chunk is
    /// accepted from here on.
    pub fn is_guest_page(&mut self, gpa: u64) -> bool {
        if self.in_ram(gpa) {
            crate::accept::ensure(self, gpa);
            return true;
        }
        crate::grant::image_page_is_guests(gpa) && !crate::grant::is_read_only(gpa)
    }

    /// Whether it is also private now, so that it may be read and written for the guest.
    pub fn is_guest_ram(&mut self, gpa: u64) -> bool {
        self.is_guest_page(gpa) && !self.shared.contains(gpa / PAGE_SIZE)
    }

    /// The host broke the protocol of its calls.
    pub fn host_fault(&self) -> Refusal {
        match own_mode(self.mode) {
            Mode::Tdx => Refusal::VmcallReplyInvalid,
            _ => Refusal::GhcbReplyInvalid,
        }
    }
}
