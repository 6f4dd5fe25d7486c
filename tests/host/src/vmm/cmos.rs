//! The real-time clock and its memory at ports 0x70 and 0x71: time only, no interrupts.
//! Source: Motorola MC146818A datasheet; register 0x32 (century) by PC convention.

/// 2026-01-01T00:00:00Z in days since 1970, as QEMU's own clock is started.
const START_DAY: u64 = 20454;
/// A day in seconds.
const DAY: u64 = 86_400;
/// Seconds since 1970 at the start.
pub const START: u64 = START_DAY * DAY;

/// Index and memory.
#[derive(Clone, Debug)]
pub struct Cmos {
    index: u8,
    bytes: [u8; 128],
}

impl Default for Cmos {
    fn default() -> Self {
        Self {
            index: 0,
            bytes: [0; 128],
        }
    }
}

impl Cmos {
    /// Port 0x70: bit 7 (NMI mask) is not kept.
    pub fn select(&mut self, value: u8) {
        self.index = value & 0x7F;
    }

    /// Port 0x71; `seconds` since the start.
    pub fn read(&self, seconds: u64) -> u8 {
        let (days, rest) = (START_DAY + seconds / DAY, seconds % DAY);
        let (year, month, day) = date(days);
        let value = match self.index {
            0 => rest % 60,
            2 => rest / 60 % 60,
            4 => rest / 3600,
            // 1970-01-01 was a Thursday, and Sunday is 1.
            6 => (days + 4) % 7 + 1,
            7 => day,
            8 => month,
            9 => year % 100,
            0x32 => year / 100,
            // Divider on 32,768 Hz; 24 hours, BCD; no interrupts; the battery is good.
            0xA => return 0x26,
            0xB => return 0x02,
            0xC => return 0,
            0xD => return 0x80,
            other => return self.bytes[usize::from(other)],
        };
        (((value / 10) << 4) | (value % 10)) as u8
    }

    /// Port 0x71: memory is kept; the time cannot be set.
    pub fn write(&mut self, value: u8) {
        self.bytes[usize::from(self.index)] = value;
    }
}

/// Year, month and day of a day since 1970 (Gregorian; eras of 400 years that begin in March).
fn date(days: u64) -> (u64, u64, u64) {
    let days = days + 719_468;
    let (era, day) = (days / 146_097, days % 146_097);
    let year = (day - day / 1460 + day / 36_524 - day / 146_096) / 365;
    let of_year = day - (365 * year + year / 4 - year / 100);
    let shifted = (5 * of_year + 2) / 153;
    let month = if shifted < 10 {
        shifted + 3
    } else {
        shifted - 9
    };
    let first = (153 * shifted + 2) / 5;
    (
        era * 400 + year + u64::from(month <= 2),
        month,
        of_year - first + 1,
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(register: u8, seconds: u64) -> u8 {
        let mut cmos = Cmos::default();
        cmos.select(register);
        cmos.read(seconds)
    }

    #[test]
    fn the_start_is_a_thursday_in_january_2026() {
        let date = [0x32, 9, 8, 7, 6, 4, 2, 0].map(|register| at(register, 0));
        assert_eq!(date, [0x20, 0x26, 1, 1, 5, 0, 0, 0]);
    }

    #[test]
    fn a_leap_day_is_counted() {
        // 2028-02-29 is day 365 * 2 + 31 + 28 from the start.
        let seconds = (730 + 59) * DAY + 23 * 3600 + 59 * 60 + 58;
        let date = [9, 8, 7, 4, 2, 0].map(|register| at(register, seconds));
        assert_eq!(date, [0x28, 2, 0x29, 0x23, 0x59, 0x58]);
        assert_eq!(at(8, seconds + 2), 3);
    }
}
