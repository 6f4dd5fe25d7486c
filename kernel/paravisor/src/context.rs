//! What the paravisor knows: its host door, its memory, and the lower guest's machine.
#![allow(unsafe_code)] // makes VMPL 0's ports and the GHCB that the stub registered

use crate::apic::Apic;
use crate::memory::Memory;
use bootloader_api::BootInfo;
use bootloader_api::info::MemoryRegionKind;
use tessera_defs::refusal::Refusal;
use tessera_defs::snp::cpuid_page::CpuidPage;
use tessera_handoff::handoff::{Handoff, MAGIC};
use tessera_handoff::layout::{CPUID_PAGE, GHCB_PAGE, SHARED_MAP};
use tessera_hw::ghcb_page::GhcbPage;
use tessera_hw::host::{GhcbMsrPort, RmpPort};
use tessera_hw::shared::SharedPage;

/// RAM ranges at most.
const MAX_RAM: usize = 16;

/// The paravisor.
pub struct Paravisor {
    /// The registered GHCB.
    pub ghcb: GhcbPage,
    /// GHCB MSR protocol.
    pub msr: GhcbMsrPort,
    /// PVALIDATE and RMPADJUST.
    pub rmp: RmpPort,
    /// Direct map.
    pub memory: Memory,
    /// The vetted CPUID page.
    pub cpuid: CpuidPage,
    /// The lower guest's local APIC.
    pub apic: Apic,
    /// GUEST_OS_ID as the lower guest wrote it.
    pub guest_os_id: u64,
    /// Where the lower context starts.
    pub lower_entry: u64,
    /// Memory outside the image is assigned to the guest already.
    pub comes_private: bool,
    /// Usable RAM outside the image: start and end.
    pub ram: [(u64, u64); MAX_RAM],
}

impl Paravisor {
    /// Copies what it needs from the hand-over, whose pages the lower guest will use again.
    pub fn new(info: &'static mut BootInfo, block: &'static Handoff) -> Self {
        if block.magic != MAGIC {
            crate::door::refuse(Refusal::HandoffInvalid);
        }
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
        let memory = Memory::new(block);
        // SAFETY: VMPL 0; the stub shared and registered this GHCB and mapped it there.
        let (ghcb, msr, rmp) = unsafe {
            let page = SharedPage::new(SHARED_MAP + GHCB_PAGE, GHCB_PAGE);
            (GhcbPage::new(page), GhcbMsrPort::new(), RmpPort::new())
        };
        Self {
            ghcb,
            msr,
            rmp,
            cpuid: memory.read(CPUID_PAGE),
            memory,
            apic: Apic::default(),
            guest_os_id: 0,
            lower_entry: block.lower_entry,
            comes_private: block.comes_private != 0,
            ram,
        }
    }

    /// Whether a private page belongs to the lower guest, so that it may be read for it.
    pub fn is_guest_ram(&self, gpa: u64) -> bool {
        let image = crate::grant::image_page_is_guests(gpa);
        image
            || self
                .ram
                .iter()
                .any(|(start, end)| (*start..*end).contains(&gpa))
    }
}
