//! The clock of timeouts: which one a mode has, and whose word it is.
//!
//! A TD's time stamp is virtual: from TDH.MNG.INIT on, where the host names its rate, the TDX module makes
//! it run at that, from 0, and no host can change either; CPUID leaf 15h, which the module answers by
//! itself, tells the rate (TDX module 1.5, `VIRT_TSC_FREQUENCY_*`: 4 to 400 times 25 MHz). A paravisor
//! passes both on to its L2 VM. An SNP guest's time stamp is the host's without SEV_FEATURES.SecureTsc,
//! which is measured, and which no image of ours sets: there, and where nobody isolates, it is as good as
//! the host's word. Where a host tells its rate (TLFS 12.5) it is still exact on an honest one; where none
//! does, timer interrupts are left.

use tessera_defs::mode::Mode;

/// CPUID leaf of the time stamp's rate: denominator, numerator, crystal in hertz (Intel SDM vol. 2,
/// CPUID, leaf 15h).
pub const LEAF: u32 = 0x15;
/// Hertz that a TD's time stamp can have.
const RATES: core::ops::RangeInclusive<u64> = 100_000_000..=10_000_000_000;
const MICROSECONDS: u128 = 1_000_000;

/// Where the time comes from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Clock {
    /// Counted timer interrupts: the host can make them slow or fast, or stop them.
    Ticks,
    /// The time stamp.
    TimeStamp {
        /// Microseconds of 2^32 ticks.
        scale: u64,
        /// No host can change it. Else one could also turn it back.
        trusted: bool,
    },
}

impl Clock {
    /// That of `mode`; `leaf` reads `LEAF`, and is asked only where the hardware answers it; `told` is the rate
    /// that the host tells, if it does. A rate that no TD has is none.
    pub fn of(
        mode: Mode,
        leaf: impl FnOnce() -> [u32; 3],
        told: impl FnOnce() -> Option<u64>,
    ) -> Self {
        let trusted = matches!(mode, Mode::Tdx | Mode::TdxParavisor);
        let rate = match trusted {
            true => {
                let [denominator, numerator, crystal] = leaf().map(u64::from);
                (crystal * numerator).checked_div(denominator)
            }
            false => told(),
        };
        match rate.filter(|rate| RATES.contains(rate)) {
            Some(rate) => Self::TimeStamp {
                scale: ((MICROSECONDS << 32) / u128::from(rate)) as u64,
                trusted,
            },
            None => Self::Ticks,
        }
    }

    /// As the kernel prints it and the matrix checks it.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Ticks => "apic-timer",
            Self::TimeStamp { trusted: false, .. } => "told-time-stamp",
            Self::TimeStamp { trusted: true, .. } => "time-stamp",
        }
    }
}

/// Microseconds of so many ticks of the time stamp, rounded down. For ever, almost: 2^64 ticks are 58
/// years at 10 GHz.
pub const fn microseconds(scale: u64, ticks: u64) -> u64 {
    ((ticks as u128 * scale as u128) >> 32) as u64
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_a_td_has_a_time_stamp_that_is_not_the_hosts() {
        for mode in [Mode::None, Mode::Snp, Mode::SnpParavisor] {
            let told = |rate| Clock::of(mode, || unreachable!(), || rate).name();
            assert_eq!(told(None), "apic-timer");
            assert_eq!(told(Some(99_999_999)), "apic-timer");
            assert_eq!(told(Some(u64::MAX)), "apic-timer");
            assert_eq!(told(Some(2_100_000_000)), "told-time-stamp");
        }
        for mode in [Mode::Tdx, Mode::TdxParavisor] {
            let clock = Clock::of(mode, || [1, 40, 25_000_000], || unreachable!());
            let Clock::TimeStamp { scale, trusted } = clock else {
                panic!("{clock:?}")
            };
            assert!(trusted && clock.name() == "time-stamp");
            // A second at 1 GHz; a year.
            assert_eq!(microseconds(scale, 1_000_000_000), 999_999);
            let year = 31_536_000;
            let drift = year * 1_000_000 - microseconds(scale, year * 1_000_000_000);
            assert!(drift < year, "{drift} microseconds in a year");
        }
    }

    #[test]
    fn a_rate_that_no_td_has_is_none() {
        for leaf in [
            [0, 40, 25_000_000],
            [1, 0, 25_000_000],
            [1, 40, 0],
            [1, 3, 25_000_000],
            [1, 401, 25_000_000],
            [1, u32::MAX, u32::MAX],
        ] {
            let clock = Clock::of(Mode::Tdx, || leaf, || Some(1_000_000_000));
            assert_eq!(clock, Clock::Ticks, "{leaf:?}");
        }
    }
}
