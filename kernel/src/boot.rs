//! What the stub handed over, checked.

use bootloader_api::BootInfo;
use bootloader_api::info::{MemoryRegion, MemoryRegionKind};
use spin::Once;
use tessera_defs::mode::{HostProfile, Mode};
use tessera_defs::refusal::Refusal;
use tessera_handoff::handoff::{Handoff, MAGIC};

static REGIONS: Once<&'static [MemoryRegion]> = Once::new();

/// Whether `gpa..gpa + len` touches the image, or memory that the loader names.
pub fn is_memory(gpa: u64, len: u64) -> bool {
    let inside = |region: &MemoryRegion| gpa < region.end && region.start < gpa + len;
    let regions = REGIONS.get().copied().unwrap_or_default();
    crate::memory::overlaps_image(gpa, len) || regions.iter().any(inside)
}

/// The hand-over.
pub struct Boot {
    /// How this guest is run. Read once, by `host::install`; later only shown.
    pub mode: Mode,
    /// What the host looks like.
    pub profile: HostProfile,
    /// RSDP, guest physical, a claim.
    pub rsdp: Option<u64>,
    /// The stub's block.
    pub handoff: &'static Handoff,
    regions: &'static [MemoryRegion],
}

impl Boot {
    /// Refuses a hand-over that this kernel was not built for.
    pub fn check(info: &'static mut BootInfo, handoff: &'static Handoff) -> Self {
        let profile = match handoff.profile {
            0 => Some(HostProfile::Kvm),
            1 => Some(HostProfile::HyperV),
            _ => None,
        };
        let rsdp = info.rsdp_addr.into_option();
        let regions: &'static [MemoryRegion] = &info.memory_regions;
        REGIONS.call_once(|| regions);
        match (
            handoff.magic == MAGIC,
            Mode::from_u32(handoff.mode),
            profile,
        ) {
            (true, Some(mode), Some(profile)) => Self {
                mode,
                profile,
                rsdp,
                handoff,
                regions,
            },
            _ => crate::host::refuse(Refusal::HandoffInvalid),
        }
    }

    /// Usable RAM outside the image, in bytes: start and end.
    pub fn usable(&self) -> impl Iterator<Item = (u64, u64)> + use<> {
        let usable = |region: &&MemoryRegion| region.kind == MemoryRegionKind::Usable;
        self.regions
            .iter()
            .filter(usable)
            .map(|region| (region.start, region.end))
    }
}
