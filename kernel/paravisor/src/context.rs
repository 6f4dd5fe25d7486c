//! The paravisor on one virtual processor: its host, its lower context, and what all have in common.
#![allow(unsafe_code)] // composes the strategies of the context in which the paravisor runs

use crate::kept::Kept;
use crate::lower::LowerGuest;
use crate::partition::{self, Partition};
use crate::synthetic::Synthetic;
use spin::Mutex;
use tessera_defs::mode::{HostProfile, Mode};
use tessera_defs::refusal::Refusal;
use tessera_defs::snp::status::VTOM_BIT;
use tessera_defs::tdx::page::SHARED_BIT;
use tessera_defs::x86::PAGE_SIZE;
use tessera_handoff::handoff::{Handoff, MAGIC};
use tessera_handoff::layout::{GHCB_PAGE, SHARED_MAP, room};
use tessera_hw::compose::{Machine, Strategies};
use tessera_hw::shared::SharedPage;
use tessera_isolation::strategy::traits::{HostCalls, PageVisibility};
use tessera_objects::apic::local::LocalApic;

static mut MACHINE: Option<Machine> = None;

/// The paravisor on one virtual processor. Nothing of it is reached from another one.
pub struct Paravisor<'a> {
    /// The mode of the lower guest.
    pub mode: Mode,
    /// Index of the virtual processor.
    pub index: usize,
    /// Calls to the host: the same strategy as an enlightened kernel's.
    pub host: &'a mut dyn HostCalls,
    /// Page states, likewise.
    pub visibility: &'a mut dyn PageVisibility,
    /// The lower context.
    pub lower: &'a mut dyn LowerGuest,
    /// Its local APIC.
    pub apic: LocalApic,
    /// Its registers without effect.
    pub kept: Kept,
    /// Its Hyper-V registers.
    pub synthetic: Synthetic,
    /// Where the host's messages to the paravisor come, where it has any.
    pub messages: Option<SharedPage>,
    /// It has registers; otherwise it waits for its start.
    pub runs: bool,
    /// It waits for an interrupt.
    pub halted: bool,
    /// A non-maskable interrupt waits for it.
    pub nmi: bool,
    /// How many there are.
    pub processors: usize,
    /// SNP with several processors: lower contexts run only while nobody accepts memory.
    pub gated: bool,
    /// `partition::changes` before the lower context ran last.
    pub seen: u64,
    /// What all processors have in common.
    pub partition: &'static Mutex<Partition>,
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

/// SNP: where a processor's GHCB is mapped, and its address. The first one's is the stub's.
pub const fn ghcb(index: usize) -> (u64, u64) {
    let gpa = match index {
        0 => GHCB_PAGE,
        _ => room::of(index) + room::GHCB,
    };
    (SHARED_MAP + gpa, gpa)
}

/// What the paravisor works with. Called once.
pub fn strategies(mode: Mode, block: &Handoff) -> Strategies {
    let (private, (virt, gpa)) = (block.comes_private != 0, ghcb(0));
    let hyperv = block.profile == HostProfile::HyperV as u32;
    // SAFETY: the stub proved the platform; on SNP it shared and registered this GHCB and
    // mapped it there. Called once, so this is the only reference to the storage.
    unsafe {
        let machine = &raw mut MACHINE;
        let machine = &mut *machine;
        let new = Machine::new(own_mode(mode), hyperv, private, virt, gpa);
        machine.insert(new).strategies()
    }
}

impl<'a> Paravisor<'a> {
    /// A processor whose lower context waits for its start. After `Partition::install`.
    pub fn new(
        mode: Mode,
        index: usize,
        host: &'a mut dyn HostCalls,
        visibility: &'a mut dyn PageVisibility,
        lower: &'a mut dyn LowerGuest,
    ) -> Self {
        let partition = partition::get();
        let processors = partition.lock().processors;
        Self {
            mode,
            index,
            host,
            visibility,
            lower,
            apic: LocalApic::new(index as u32),
            kept: Kept::new(),
            synthetic: Synthetic::default(),
            messages: None,
            runs: false,
            halted: false,
            nmi: false,
            processors,
            gated: processors > 1 && own_mode(mode) == Mode::Snp,
            seen: 0,
            partition,
        }
    }
}

impl Paravisor<'_> {
    /// Whether a page belongs to the lower guest, to change its visibility; then its chunk is
    /// accepted from here on.
    pub fn is_guest_page(&mut self, partition: &mut Partition, gpa: u64) -> bool {
        if partition.in_ram(gpa) {
            crate::accept::ensure(self, partition, gpa);
            return true;
        }
        crate::grant::image_page_is_guests(gpa) && !crate::grant::is_read_only(gpa)
    }

    /// Whether it is also private now, so that it may be read and written for the guest.
    pub fn is_guest_ram(&mut self, partition: &mut Partition, gpa: u64) -> bool {
        self.is_guest_page(partition, gpa) && !partition.shared.contains(gpa / PAGE_SIZE)
    }

    /// The bit of a shared page's address, as the lower guest has it.
    pub fn boundary(&self) -> u64 {
        match self.mode {
            Mode::TdxParavisor => 1 << SHARED_BIT,
            _ => 1 << VTOM_BIT,
        }
    }

    /// The address without the boundary's bit, where `gpa` is shared.
    pub fn shared_gpa(&self, gpa: u64) -> Option<u64> {
        let bit = self.boundary();
        (gpa & bit != 0).then_some(gpa & !bit)
    }

    /// The host broke the protocol of its calls.
    pub fn host_fault(&self) -> Refusal {
        match own_mode(self.mode) {
            Mode::Tdx => Refusal::VmcallReplyInvalid,
            _ => Refusal::GhcbReplyInvalid,
        }
    }
}
