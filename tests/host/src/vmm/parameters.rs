//! What the loader fills into parameter areas: claims of the host.

use super::{Vmm, ioapic, lies};
use crate::memory::frames;
use alloc::vec::Vec;
use tessera_defs::mode::{HostProfile, Mode};
use tessera_handoff::layout;

/// IGVM environment info: bit 0, memory outside the image comes shared. KVM gives SNP guests
/// shared memory; Hyper-V assigns it.
pub fn environment(vmm: &Vmm) -> u32 {
    u32::from(vmm.memory_comes_shared())
}

impl Vmm {
    /// There is memory at `FIRMWARE`: in every confidential mode.
    pub fn firmware_memory(&self) -> bool {
        self.scenario.mode != Mode::None
    }

    /// Memory outside the image is not assigned to the guest at the start.
    pub fn memory_comes_shared(&self) -> bool {
        let snp = matches!(self.scenario.mode, Mode::Snp | Mode::SnpParavisor);
        snp && self.scenario.profile == HostProfile::Kvm
    }
}

/// Pages below 1 MiB where a PC has option ROMs and firmware: a confidential guest scans them as private
/// memory, so the host gives memory there and says that it is reserved.
pub const FIRMWARE: core::ops::Range<u64> = 0xC0..0x100;
/// IGVM memory map: reserved by the platform.
const RESERVED: u8 = 1;

/// Memory map entries (first page, pages, type 0 memory), ended by an entry of no pages.
pub fn memory_map(vmm: &Vmm) -> Vec<u8> {
    let mut ranges = frames::ranges(vmm.scenario.memory);
    match vmm.scenario.lie {
        lies::MEMORY_MAP_OVERLAP => {
            let image = (layout::IMAGE_END - layout::IMAGE_START) / 4096;
            vmm.tell();
            ranges.insert(1, (layout::IMAGE_START / 4096, image));
        }
        lies::MEMORY_MAP_HUGE => {
            vmm.tell();
            ranges[1].1 = 1 << 44;
        }
        _ => {}
    }
    let mut bytes = Vec::new();
    let mut entry = |first: u64, pages: u64, kind: u8| {
        bytes.extend_from_slice(&first.to_le_bytes());
        bytes.extend_from_slice(&pages.to_le_bytes());
        bytes.extend_from_slice(&[kind, 0, 0, 0, 0, 0, 0, 0]);
    };
    ranges
        .into_iter()
        .for_each(|(first, pages)| entry(first, pages, 0));
    if vmm.firmware_memory() {
        entry(FIRMWARE.start, FIRMWARE.end - FIRMWARE.start, RESERVED);
    }
    entry(0, 0, 0);
    bytes
}

/// A MADT with one x2APIC entry per processor and the IOAPIC (ACPI 6.5, 5.2.12).
pub fn madt(vmm: &mut Vmm) -> Vec<u8> {
    let len = 44 + 16 * vmm.scenario.smp as usize + 12 + 10;
    if vmm.tells(lies::ACPI_GARBAGE) {
        return (0..len).map(|_| vmm.random() as u8).collect();
    }
    let mut table = Vec::with_capacity(len);
    table.extend_from_slice(b"APIC");
    table.extend_from_slice(&(len as u32).to_le_bytes());
    table.extend_from_slice(&[5, 0]);
    table.extend_from_slice(b"TSSERATESTHOST\x01\0\0\0TSRA\x01\0\0\0");
    table.extend_from_slice(&0xFEE0_0000u32.to_le_bytes());
    table.extend_from_slice(&1u32.to_le_bytes());
    for id in 0..vmm.scenario.smp {
        table.extend_from_slice(&[9, 16, 0, 0]);
        for word in [id, 1, id] {
            table.extend_from_slice(&word.to_le_bytes());
        }
    }
    // IOAPIC 0 with the interrupts from 0 on; ISA line 9 (SCI) is a level line, high.
    table.extend_from_slice(&[1, 12, 0, 0]);
    table.extend_from_slice(&(ioapic::BASE as u32).to_le_bytes());
    table.extend_from_slice(&[0; 4]);
    table.extend_from_slice(&[2, 10, 0, 9, 9, 0, 0, 0, 0xD, 0]);
    let sum = table.iter().fold(0u8, |sum, byte| sum.wrapping_add(*byte));
    table[9] = sum.wrapping_neg();
    table
}

/// The guest's command line, a page of it.
pub fn command_line(vmm: &mut Vmm) -> Vec<u8> {
    if vmm.tells(lies::COMMAND_LINE_GARBAGE) {
        return (0..4096).map(|_| vmm.random() as u8 | 1).collect();
    }
    let mut line = Vec::new();
    if !vmm.scenario.log.is_empty() {
        line.extend_from_slice(b"log=");
        line.extend_from_slice(vmm.scenario.log.as_bytes());
    }
    line.push(0);
    line
}

#[cfg(test)]
mod tests {
    use super::super::scenario::Scenario;
    use super::*;

    #[test]
    fn the_madt_sums_to_zero() {
        let mut vmm = Vmm::new(Scenario::parse("smp=2").unwrap(), crate::machine::FAKE);
        let table = madt(&mut vmm);
        assert_eq!(table.iter().fold(0u8, |s, b| s.wrapping_add(*b)), 0);
        assert_eq!(
            table.len(),
            u32::from_le_bytes(table[4..8].try_into().unwrap()) as usize
        );
    }

    #[test]
    fn the_map_ends_with_nothing() {
        let vmm = Vmm::new(Scenario::default(), crate::machine::FAKE);
        let map = memory_map(&vmm);
        assert_eq!(map.len(), 72);
        assert_eq!(map[32..40], (0x4000u64 - 0x100).to_le_bytes());
    }
}
