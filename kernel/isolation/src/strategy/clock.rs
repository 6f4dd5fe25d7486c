//! The clock of timeouts: which one a mode has, and whose word it is.
//!
//! A TD's time stamp is virtual: from TDH.MNG.INIT on, where the host names its rate, the TDX module makes
//! it run at that, from 0, and no host can change either; CPUID leaf 15h, which the module answers by
//! itself, tells the rate (TDX module 1.5, `VIRT_TSC_FREQUENCY_*`: 4 to 400 times 25 MHz). A paravisor
//! passes both on to its L2 VM. An SNP guest's time stamp is the host's without SEV_FEATURES.SecureTsc,
//! which is measured, and which no image of ours sets: there, and where nobody isolates, what is left
//! are timer interrupts, whose pace is the host's too.

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
    /// A time stamp that no host can change.
    TimeStamp {
        /// Microseconds of 2^32 ticks.
        scale: u64,
    },
}

impl Clock {
    /// That of `mode`; `leaf` reads `LEAF`, and is asked only where the hardware answers it. A rate
    /// that no TD has is none.
    pub fn of(mode: Mode, leaf: impl FnOnce() -> [u32; 3]) -> Self {
        if !matches!(mode, Mode::Tdx | Mode::TdxParavisor) {
            return Self::Ticks;
        }
        let [denominator, numerator, crystal] = leaf().map(u64::from);
        let rate = (crystal * numerator).checked_div(denominator);
        match rate.filter(|rate| RATES.contains(rate)) {
            Some(rate) => Self::TimeStamp {
                scale: ((MICROSECONDS << 32) / u128::from(rate)) as u64,
            },
            None => Self::Ticks,
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
            assert_eq!(Clock::of(mode, || unreachable!()), Clock::Ticks);
        }
        for mode in [Mode::Tdx, Mode::TdxParavisor] {
            let clock = Clock::of(mode, || [1, 40, 25_000_000]);
            let Clock::TimeStamp { scale } = clock else {
                panic!("{clock:?}")
            };
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
            assert_eq!(Clock::of(Mode::Tdx, || leaf), Clock::Ticks, "{leaf:?}");
        }
    }
}
