//! Clocks of the two profiles. The host's time stamp counts nanoseconds (QEMU counts them as
//! instructions), so every frequency is 1 GHz. Sources: TLFS 6.0b, 12; Linux
//! `Documentation/virt/kvm/x86/msr.rst` for KVM's shared structures.

use super::{Vmm, cmos};
use alloc::vec::Vec;

/// Frequency of time stamp and local APIC timer, in hertz.
pub const FREQUENCY: u64 = 1_000_000_000;
/// KVM: wall clock at boot.
pub const KVM_WALL_CLOCK: u32 = 0x4B56_4D00;
/// KVM: parameters of the time stamp.
pub const KVM_SYSTEM_TIME: u32 = 0x4B56_4D01;
/// KVM's feature leaf, EAX: clocks by the two MSRs above; they are stable between processors.
pub const KVM_FEATURES: u32 = 1 << 3 | 1 << 24;

impl Vmm {
    /// Writes of KVM's clock MSRs: the host fills the structure that they name.
    pub(super) fn kvm_clock(&mut self, msr: u32, value: u64) {
        let mut bytes = Vec::new();
        match msr {
            KVM_WALL_CLOCK => {
                // Version, seconds, nanoseconds of the moment when the system time was 0.
                [2, cmos::START as u32, 0]
                    .iter()
                    .for_each(|word| bytes.extend_from_slice(&word.to_le_bytes()));
                self.writes.push((value, bytes));
            }
            _ if value & 1 == 1 => {
                // Version, padding; time stamp and system time at their start;
                // 32.32 factor after a shift; flags: stable.
                bytes.extend_from_slice(&2u64.to_le_bytes());
                bytes.extend_from_slice(&[0; 16]);
                bytes.extend_from_slice(&0x8000_0000u32.to_le_bytes());
                bytes.extend_from_slice(&[1, 1, 0, 0]);
                self.writes.push((value & !1, bytes));
            }
            _ => {}
        }
    }
}
