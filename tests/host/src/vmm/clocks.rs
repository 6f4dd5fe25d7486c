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

/// Ticks of the time stamp in 100 ns, the unit of the partition's reference time.
const UNIT: u64 = FREQUENCY / 10_000_000;
/// Sequence, scale, offset of the reference time stamp page (TLFS 6.0b, 12.7.3): 100 ns are the high half of time
/// stamp times scale, plus the offset. The scale is rounded up, so that it never is behind the counter.
const REFERENCE_SEQUENCE: u32 = 1;
const REFERENCE_SCALE: u64 = u64::MAX / UNIT + 1;

/// Reference time at a time stamp.
pub const fn reference(now: u64) -> u64 {
    now / UNIT
}

/// Time stamp of a reference time.
pub const fn time(reference: u64) -> u64 {
    reference.saturating_mul(UNIT)
}

impl Vmm {
    /// REFERENCE_TSC: the page that it names, where it is enabled, says how the time stamp becomes reference time.
    pub(super) fn reference_page(&mut self, value: u64) {
        self.hyperv().reference_tsc = value;
        if value & 1 == 0 {
            return;
        }
        let mut bytes = Vec::with_capacity(24);
        bytes.extend_from_slice(&u64::from(REFERENCE_SEQUENCE).to_le_bytes());
        bytes.extend_from_slice(&REFERENCE_SCALE.to_le_bytes());
        bytes.extend_from_slice(&0u64.to_le_bytes());
        self.writes.push((value & !0xFFF, bytes));
    }

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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_reference_page_agrees_with_the_counter() {
        let by_page = |tsc: u64| ((u128::from(tsc) * u128::from(REFERENCE_SCALE)) >> 64) as u64;
        for tsc in [
            0,
            99,
            100,
            101,
            1_999_999_999,
            2_000_000_000,
            (1 << 55) + 7,
            3 << 56,
        ] {
            assert_eq!(by_page(tsc), reference(tsc), "{tsc}");
        }
    }
}
