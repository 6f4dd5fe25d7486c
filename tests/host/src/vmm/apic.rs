//! The guest's local APIC in x2APIC mode: timer, EOI, priorities, self IPI.
//! Source: Intel SDM vol. 3, 10.12 (APM vol. 2, chapter 16).

use tessera_defs::x86::x2apic;

const LVT_MASKED: u64 = 1 << 16;
const LVT_PERIODIC: u64 = 1 << 17;
/// In-service and request registers: 0x810 and 0x820, eight each.
const ISR: u32 = 0x810;
const IRR: u32 = 0x820;

/// One local APIC.
#[derive(Clone, Debug)]
pub struct Apic {
    tpr: u64,
    spurious: u64,
    timer: u64,
    initial: u64,
    divide: u64,
    deadline: Option<u64>,
    requested: [u32; 8],
    in_service: [u32; 8],
}

impl Default for Apic {
    fn default() -> Self {
        Self {
            tpr: 0,
            spurious: 0xFF,
            timer: LVT_MASKED,
            initial: 0,
            divide: 0,
            deadline: None,
            requested: [0; 8],
            in_service: [0; 8],
        }
    }
}

impl Apic {
    /// Reads a register; `None` is #GP.
    pub fn read(&self, msr: u32, now: u64) -> Option<u64> {
        Some(match msr {
            x2apic::ID | x2apic::ICR | 0x80D | 0x828 => 0,
            x2apic::VERSION => 0x5_0014,
            x2apic::TPR => self.tpr,
            x2apic::SIVR => self.spurious,
            ISR..=0x817 => u64::from(self.in_service[(msr - ISR) as usize]),
            IRR..=0x827 => u64::from(self.requested[(msr - IRR) as usize]),
            x2apic::LVT_TIMER => self.timer,
            0x833..=0x837 => LVT_MASKED,
            x2apic::INITIAL_COUNT => self.initial,
            x2apic::CURRENT_COUNT => {
                let left = self.deadline.map_or(0, |at| at.saturating_sub(now));
                left / self.divisor()
            }
            x2apic::DIVIDE => self.divide,
            _ => return None,
        })
    }

    /// Writes a register; `None` is #GP.
    pub fn write(&mut self, msr: u32, value: u64, now: u64) -> Option<()> {
        match msr {
            x2apic::TPR => self.tpr = value & 0xFF,
            x2apic::SIVR => self.spurious = value & 0x1FF,
            x2apic::EOI if value == 0 => self.end_of_interrupt(),
            x2apic::LVT_TIMER => self.timer = value & 0x7_00FF,
            x2apic::INITIAL_COUNT => {
                self.initial = value & 0xFFFF_FFFF;
                self.arm(now);
            }
            x2apic::DIVIDE => self.divide = value & 0xB,
            x2apic::SELF_IPI => set(&mut self.requested, value as u8),
            0x828 | 0x833..=0x837 | x2apic::ICR => {}
            _ => return None,
        }
        Some(())
    }

    fn arm(&mut self, now: u64) {
        let count = self.initial * self.divisor();
        self.deadline = (count > 0).then(|| now.saturating_add(count));
    }

    /// Requests the timer's vector when its time has come.
    pub fn tick(&mut self, now: u64) {
        let Some(deadline) = self.deadline.filter(|at| *at <= now) else {
            return;
        };
        if self.timer & LVT_MASKED == 0 {
            set(&mut self.requested, self.timer as u8);
        }
        let period = self.initial * self.divisor();
        let missed = (now - deadline) / period.max(1) + 1;
        let next = deadline.saturating_add(period.saturating_mul(missed));
        self.deadline = (self.timer & LVT_PERIODIC != 0 && period > 0).then_some(next);
    }

    /// When the timer will request its vector, if it will.
    pub fn deadline(&self) -> Option<u64> {
        self.deadline
            .filter(|_| self.timer & LVT_MASKED == 0 && self.spurious & 0x100 != 0)
    }

    /// The vector to offer now: the highest request above what is in service and TPR.
    pub fn pending(&self) -> Option<u8> {
        let vector = highest(&self.requested)?;
        let served = highest(&self.in_service).unwrap_or(0).max(self.tpr as u8);
        (self.spurious & 0x100 != 0 && vector >> 4 > served >> 4).then_some(vector)
    }

    /// The offered vector was taken.
    pub fn accept(&mut self, vector: u8) {
        clear(&mut self.requested, vector);
        set(&mut self.in_service, vector);
    }

    fn end_of_interrupt(&mut self) {
        if let Some(vector) = highest(&self.in_service) {
            clear(&mut self.in_service, vector);
        }
    }

    fn divisor(&self) -> u64 {
        match self.divide & 0b11 | self.divide >> 1 & 0b100 {
            0b111 => 1,
            n => 2 << n,
        }
    }
}

fn set(bits: &mut [u32; 8], vector: u8) {
    bits[usize::from(vector) / 32] |= 1 << (vector % 32);
}

fn clear(bits: &mut [u32; 8], vector: u8) {
    bits[usize::from(vector) / 32] &= !(1 << (vector % 32));
}

fn highest(bits: &[u32; 8]) -> Option<u8> {
    let word = (0..8).rev().find(|i| bits[*i] != 0)?;
    Some((word * 32 + 31 - bits[word].leading_zeros() as usize) as u8)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn armed(lvt: u64) -> Apic {
        let mut apic = Apic::default();
        for (msr, value) in [
            (x2apic::SIVR, 0x1FF),
            (x2apic::DIVIDE, 0b1011),
            (x2apic::LVT_TIMER, lvt),
            (x2apic::INITIAL_COUNT, 100),
        ] {
            apic.write(msr, value, 1000).unwrap();
        }
        apic
    }

    #[test]
    fn a_periodic_timer_comes_again_after_eoi() {
        let mut apic = armed(LVT_PERIODIC | 0x40);
        apic.tick(1099);
        assert_eq!(apic.pending(), None);
        apic.tick(1100);
        assert_eq!(apic.pending(), Some(0x40));
        apic.accept(0x40);
        apic.tick(1250);
        assert_eq!(apic.pending(), None, "same priority is in service");
        apic.write(x2apic::EOI, 0, 1250).unwrap();
        assert_eq!(apic.pending(), Some(0x40));
        assert_eq!(apic.deadline(), Some(1300));
    }

    #[test]
    fn unknown_registers_fault() {
        assert_eq!(Apic::default().read(0x804, 0), None);
        assert_eq!(Apic::default().write(x2apic::EOI, 1, 0), None);
    }
}
