//! What WRMSR may set of an x2APIC's registers: other bits are #GP. Source: Intel SDM vol. 3, 10.12.1.2, and the
//! registers' figures in 10.4 to 10.12. Delivery status and remote IRR, which are read-only, are ignored.

use tessera_defs::x86::x2apic;

const VECTOR: u64 = 0xFF;
const STATUS: u64 = 1 << 12;
const MASK: u64 = 1 << 16;
/// Delivery mode; with pin polarity, remote IRR and trigger mode.
const MODE: u64 = 7 << 8;
const PIN: u64 = MODE | 7 << 13;
const TIMER_MODE: u64 = 3 << 17;
const SHORTHAND: u64 = 3 << 18;
/// Destination mode, level, trigger mode of a command.
const COMMAND: u64 = 1 << 11 | 1 << 14 | 1 << 15;

/// The bits of a register that are not reserved.
fn bits(msr: u32) -> u64 {
    let entry = VECTOR | STATUS | MASK;
    match msr {
        x2apic::TPR | x2apic::SELF_IPI => VECTOR,
        x2apic::SIVR => VECTOR | 1 << 8,
        x2apic::EOI | 0x828 => 0,
        x2apic::LVT_TIMER => entry | TIMER_MODE,
        0x833 | 0x834 => entry | MODE,
        0x835 | 0x836 => entry | PIN,
        0x837 => entry,
        x2apic::INITIAL_COUNT => u64::from(u32::MAX),
        x2apic::DIVIDE => 0b1011,
        x2apic::ICR => u64::from(u32::MAX) << 32 | VECTOR | MODE | COMMAND | SHORTHAND,
        _ => u64::MAX,
    }
}

/// Whether a value sets none of them.
pub fn holds(msr: u32, value: u64) -> bool {
    value & !bits(msr) == 0
}

#[cfg(test)]
mod tests {
    use super::super::Apic;
    use super::*;

    #[test]
    fn reserved_bits_are_refused_by_wrmsr_only() {
        for (msr, value, good) in [
            (x2apic::TPR, 0xFF, true),
            (x2apic::TPR, 0x100, false),
            (x2apic::SIVR, 0x1FF, true),
            (x2apic::SIVR, 1 << 9, false),
            (x2apic::LVT_TIMER, 0x6_10FF, true),
            (x2apic::LVT_TIMER, 1 << 19, false),
            (0x835, 0x1_E7FF, true),
            (0x837, 1 << 8, false),
            (x2apic::INITIAL_COUNT, u64::from(u32::MAX), true),
            (x2apic::INITIAL_COUNT, 1 << 32, false),
            (x2apic::DIVIDE, 4, false),
            (x2apic::ICR, 7 << 32 | 0xC_CFFF & !STATUS, true),
            (x2apic::ICR, 1 << 20, false),
            (0x828, 1, false),
            (x2apic::SELF_IPI, 0x100, false),
        ] {
            let mut apic = Apic::new(0);
            assert_eq!(
                apic.wrmsr(msr, value, 0).is_some(),
                good,
                "{msr:#x} {value:#x}"
            );
        }
        let mut apic = Apic::new(0);
        apic.set_base(super::super::BASE).unwrap();
        apic.set_base(super::super::BASE | x2apic::BASE_EN).unwrap();
        apic.store(0x80, 0x120, 0);
        assert_eq!(apic.load(0x80, 0), 0x20, "memory loses them");
    }
}
