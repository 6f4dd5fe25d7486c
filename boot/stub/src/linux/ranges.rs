//! Which memory Linux gets, and which of it the stub accepts.

use bootloader_api::info::{MemoryRegion, MemoryRegionKind};
use tessera_defs::refusal::Refusal;
use tessera_handoff::launch::{FLAG_ACCEPT_ALL, LaunchBlock};
use tessera_handoff::layout::IMAGE_END;
use tessera_handoff::linux::efi::UNIT;

/// The identity map of the first instruction ends here.
const MAPPED: u64 = 1 << 30;

/// First byte and end.
pub type Range = (u64, u64);

/// RAM outside the image, in order.
pub struct Ranges<'a> {
    regions: &'a [MemoryRegion],
    /// Pages that were loaded with the image: kernel and initrd.
    pub loaded: [Range; 2],
    /// What lies below is accepted by the stub; what lies above by Linux, by whole units. `None`: Linux
    /// accepts nothing.
    pub top: Option<u64>,
    /// Memory has to be accepted.
    pub isolated: bool,
}

impl<'a> Ranges<'a> {
    /// Checks the launch block and the map. `isolated`: memory must be accepted. Errors:
    /// `ComponentInvalid` (image), `MemoryTooSmall` (host).
    pub fn new(
        launch: &LaunchBlock,
        regions: &'a [MemoryRegion],
        isolated: bool,
    ) -> Result<Self, Refusal> {
        let (kernel, initrd) = (&launch.kernel, &launch.bundle);
        let room = kernel.segments[0];
        let whole = room.phys == kernel.base && kernel.len <= room.len;
        let inside = (kernel.base..kernel.base + kernel.len).contains(&kernel.entry);
        if !whole || !inside || kernel.base < IMAGE_END {
            return Err(Refusal::ComponentInvalid);
        }
        let end = (room.phys + room.len).max(initrd.base + initrd.len);
        let mut ranges = Self {
            regions,
            loaded: [
                (kernel.base, kernel.base + kernel.len),
                (
                    initrd.base,
                    (initrd.base + initrd.len).next_multiple_of(4096),
                ),
            ],
            top: None,
            isolated,
        };
        let fits = |start: u64, len: u64| {
            ranges
                .ram()
                .any(|ram| ram.0 <= start && start + len <= ram.1)
        };
        if end > MAPPED || !fits(room.phys, room.len) || !fits(initrd.base, initrd.len) {
            return Err(Refusal::MemoryTooSmall);
        }
        let accepts = launch.flags & FLAG_ACCEPT_ALL == 0;
        ranges.top = (isolated && accepts).then_some(end.next_multiple_of(UNIT));
        Ok(ranges)
    }

    fn ram(&self) -> impl Iterator<Item = Range> + Clone + '_ {
        let ram = self
            .regions
            .iter()
            .filter(|region| region.kind == MemoryRegionKind::Usable);
        ram.map(|region| (region.start, region.end))
    }

    /// RAM that is accepted, where something has to be, before Linux runs.
    pub fn now(&self) -> impl Iterator<Item = Range> + Clone + '_ {
        let top = self.top.unwrap_or(u64::MAX);
        self.ram().map(move |(start, end)| (start, end.min(top)))
    }

    /// RAM that Linux accepts, whole units; what is left over at an end is not used.
    pub fn later(&self) -> impl Iterator<Item = Range> + Clone + '_ {
        let top = self.top.unwrap_or(u64::MAX);
        let units = move |(start, end): Range| {
            let start = start.max(top).checked_next_multiple_of(UNIT)?;
            (start < end & !(UNIT - 1)).then_some((start, end & !(UNIT - 1)))
        };
        self.ram().filter_map(units)
    }
}
