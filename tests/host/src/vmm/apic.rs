//! A virtual processor's local APIC: timer, EOI, priorities, interrupt commands. `memory` is its
//! xAPIC mode, `reserved` what WRMSR must not set, `route` what a destination means. Source: Intel SDM vol. 3, 10.4 to 10.12 (APM vol.
//! 2, chapter 16).

mod memory;
mod reserved;
pub mod route;

use tessera_defs::x86::x2apic;

/// IA32_APIC_BASE: the registers' page, where they are in memory.
pub const BASE: u64 = 0xFEE0_0000;
const BASE_BSP: u64 = 1 << 8;
const MODE: u64 = x2apic::BASE_EN | x2apic::BASE_EXTD;

const LVT_MASKED: u64 = 1 << 16;
const LVT_PERIODIC: u64 = 1 << 17;
const LVT_DEADLINE: u64 = 1 << 18;
/// In-service and request registers: 0x810 and 0x820, eight each.
const ISR: u32 = 0x810;
const IRR: u32 = 0x820;

/// One local APIC.
#[derive(Clone, Debug)]
pub struct Apic {
    id: u32,
    /// IA32_APIC_BASE.
    base: u64,
    /// Logical destination and its format, of xAPIC mode.
    logical: [u32; 2],
    /// ICR as it was written last.
    command: u64,
    /// A command that is to go out.
    sent: Option<u64>,
    tpr: u64,
    spurious: u64,
    timer: u64,
    initial: u64,
    divide: u64,
    deadline: Option<u64>,
    /// A lying host's: the timer never fires.
    silent: bool,
    /// Another's: it fires four times as often as it is set to.
    hurried: bool,
    /// LVT entries 0x833 to 0x837: thermal, performance, LINT0, LINT1, error.
    lvt: [u64; 5],
    /// The interrupt that ended last, until the IOAPIC heard of it.
    ended: Option<u8>,
    requested: [u32; 8],
    in_service: [u32; 8],
    /// Vectors that end as they are taken (Hyper-V, AutoEOI of SINTx).
    ending: [u32; 8],
}

impl Apic {
    /// The APIC of processor `id` as firmware leaves it: x2APIC mode. Processor 0 starts the rest.
    pub fn new(id: u32) -> Self {
        Self {
            id,
            base: BASE | MODE | if id == 0 { BASE_BSP } else { 0 },
            logical: [0, u32::MAX],
            command: 0,
            sent: None,
            tpr: 0,
            spurious: 0xFF,
            timer: LVT_MASKED,
            initial: 0,
            divide: 0,
            deadline: None,
            silent: false,
            hurried: false,
            lvt: [LVT_MASKED; 5],
            ended: None,
            requested: [0; 8],
            in_service: [0; 8],
            ending: [0; 8],
        }
    }

    /// INIT: every register but identity and mode (10.4.7.3).
    pub fn reset(&mut self) {
        *self = Self {
            base: self.base,
            ending: self.ending,
            silent: self.silent,
            hurried: self.hurried,
            ..Self::new(self.id)
        };
    }

    /// IA32_APIC_BASE.
    pub fn base(&self) -> u64 {
        self.base
    }

    /// Changes mode; `None` is #GP: another page, or a way between modes that is none (10.12.5).
    pub fn set_base(&mut self, value: u64) -> Option<()> {
        let legal = match (self.base & MODE, value & MODE) {
            (old, new) if old == new => true,
            (0, new) => new == x2apic::BASE_EN,
            (x2apic::BASE_EN, new) => new & x2apic::BASE_EN != 0 || new == 0,
            (_, new) => new == 0,
        };
        if !legal || value & !(MODE | BASE_BSP) != BASE {
            return None;
        }
        if value & MODE == 0 {
            self.reset();
        }
        self.base = value & !BASE_BSP | self.base & BASE_BSP;
        Some(())
    }

    /// Registers are MSRs.
    pub fn x2apic(&self) -> bool {
        self.base & MODE == MODE
    }

    /// Reads a register; `None` is #GP.
    pub fn read(&self, msr: u32, now: u64) -> Option<u64> {
        Some(match msr {
            x2apic::ID => self.id.into(),
            x2apic::ICR => self.command,
            // No error is ever noted.
            0x828 => 0,
            0x80D => self.logical_id().into(),
            x2apic::PPR => u64::from(self.served()),
            x2apic::VERSION => 0x5_0014,
            x2apic::TPR => self.tpr,
            x2apic::SIVR => self.spurious,
            ISR..=0x817 => u64::from(self.in_service[(msr - ISR) as usize]),
            IRR..=0x827 => u64::from(self.requested[(msr - IRR) as usize]),
            // Trigger modes: no vector of a level line is shown.
            0x818..=0x81F => 0,
            x2apic::LVT_TIMER => self.timer,
            0x833..=0x837 => self.lvt[(msr - 0x833) as usize],
            x2apic::INITIAL_COUNT => self.initial,
            x2apic::CURRENT_COUNT => {
                let left = self.deadline.map_or(0, |at| at.saturating_sub(now));
                left / self.divisor()
            }
            x2apic::DIVIDE => self.divide,
            _ => return None,
        })
    }

    /// WRMSR; `None` is #GP: no register, or a reserved bit of one.
    pub fn wrmsr(&mut self, msr: u32, value: u64, now: u64) -> Option<()> {
        match reserved::holds(msr, value) {
            true => self.write(msr, value, now),
            false => None,
        }
    }

    /// Writes a register, without what is reserved; `None`: there is none.
    pub fn write(&mut self, msr: u32, value: u64, now: u64) -> Option<()> {
        match msr {
            x2apic::TPR => self.tpr = value & 0xFF,
            x2apic::SIVR => self.spurious = value & 0x1FF,
            x2apic::EOI if value == 0 => self.end_of_interrupt(),
            x2apic::LVT_TIMER => {
                // A change to or from TSC-deadline mode disarms the timer.
                if (self.timer ^ value) & LVT_DEADLINE != 0 {
                    self.deadline = None;
                }
                self.timer = value & 0x7_00FF;
            }
            x2apic::INITIAL_COUNT if self.timer & LVT_DEADLINE != 0 => {}
            x2apic::INITIAL_COUNT => {
                self.initial = value & 0xFFFF_FFFF;
                self.arm(now);
            }
            x2apic::DIVIDE => self.divide = value & 0xB,
            x2apic::SELF_IPI => self.request(value as u8),
            x2apic::ICR => {
                self.command = value;
                self.sent = Some(value);
            }
            0x828 => {}
            0x833..=0x837 => self.lvt[(msr - 0x833) as usize] = value & 0x1_F7FF,
            _ => return None,
        }
        Some(())
    }

    fn arm(&mut self, now: u64) {
        let count = self.period();
        self.deadline = (count > 0 && !self.silent).then(|| now.saturating_add(count));
    }

    /// The timer fires four times as often from now on as it is set to.
    pub fn hurry(&mut self) {
        self.hurried = true;
    }

    /// Time stamps between two requests of the timer's vector.
    fn period(&self) -> u64 {
        self.initial * self.divisor() / if self.hurried { 4 } else { 1 }
    }

    /// The timer never fires from now on.
    pub fn silence(&mut self) {
        self.silent = true;
    }

    /// Requests the timer's vector when its time has come.
    pub fn tick(&mut self, now: u64) {
        let Some(deadline) = self.deadline.filter(|at| *at <= now) else {
            return;
        };
        if self.timer & LVT_MASKED == 0 {
            set(&mut self.requested, self.timer as u8);
        }
        let period = self.period();
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
        (self.spurious & 0x100 != 0 && vector >> 4 > self.served() >> 4).then_some(vector)
    }

    /// The offered vector was taken.
    pub fn accept(&mut self, vector: u8) {
        clear(&mut self.requested, vector);
        if self.ending[usize::from(vector) / 32] >> (vector % 32) & 1 == 0 {
            set(&mut self.in_service, vector);
        }
    }

    /// These vectors, and no others, end as they are taken.
    pub fn end_at_once(&mut self, vectors: impl Iterator<Item = u8>) {
        self.ending = [0; 8];
        vectors.for_each(|vector| set(&mut self.ending, vector));
    }

    /// Whether a vector is the timer's.
    pub fn is_timer(&self, vector: u8) -> bool {
        self.timer as u8 == vector
    }

    /// Requests an interrupt.
    pub fn request(&mut self, vector: u8) {
        set(&mut self.requested, vector);
    }

    /// The interrupt that ended since the last call.
    pub fn take_ended(&mut self) -> Option<u8> {
        self.ended.take()
    }

    /// IA32_TSC_DEADLINE (10.5.4.1): 0 where the timer is in another mode or not armed.
    pub fn tsc_deadline(&self) -> u64 {
        let armed = self.deadline.filter(|_| self.timer & LVT_DEADLINE != 0);
        armed.unwrap_or(0)
    }

    /// Arms the timer in TSC-deadline mode; ignored in the others.
    pub fn set_tsc_deadline(&mut self, at: u64) {
        if self.timer & LVT_DEADLINE != 0 {
            self.deadline = (at != 0).then_some(at);
        }
    }

    /// The interrupt command that was written since the last call.
    pub fn take_sent(&mut self) -> Option<u64> {
        self.sent.take()
    }

    /// Processor priority.
    pub fn priority(&self) -> u8 {
        self.served()
    }

    /// Priority of what is served, or TPR where that is higher.
    fn served(&self) -> u8 {
        let vector = highest(&self.in_service).unwrap_or(0);
        if vector >> 4 > self.tpr as u8 >> 4 {
            vector & 0xF0
        } else {
            self.tpr as u8
        }
    }

    fn end_of_interrupt(&mut self) {
        if let Some(vector) = highest(&self.in_service) {
            clear(&mut self.in_service, vector);
            self.ended = Some(vector);
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
        let mut apic = Apic::new(0);
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
    fn a_deadline_comes_once_and_is_zero_then() {
        let mut apic = armed(LVT_DEADLINE | 0x41);
        assert_eq!(
            apic.deadline(),
            None,
            "the initial count does not count here"
        );
        apic.set_tsc_deadline(5000);
        assert_eq!((apic.deadline(), apic.tsc_deadline()), (Some(5000), 5000));
        apic.tick(5000);
        assert_eq!((apic.pending(), apic.tsc_deadline()), (Some(0x41), 0));
    }

    #[test]
    fn a_command_goes_out_once_and_an_end_is_told_once() {
        let mut apic = armed(LVT_MASKED);
        apic.write(x2apic::ICR, 0x55 | 3 << 32, 0).unwrap();
        assert_eq!(apic.read(x2apic::ICR, 0), Some(0x55 | 3 << 32));
        assert_eq!(
            (apic.take_sent(), apic.take_sent()),
            (Some(0x55 | 3 << 32), None)
        );
        apic.request(0x55);
        apic.accept(0x55);
        apic.write(x2apic::EOI, 0, 0).unwrap();
        assert_eq!((apic.take_ended(), apic.take_ended()), (Some(0x55), None));
    }

    #[test]
    fn modes_change_only_on_the_ways_that_there_are() {
        let mut apic = Apic::new(1);
        assert_eq!(apic.base(), 0xFEE0_0C00);
        assert_eq!(apic.set_base(0xFEE0_0800), None, "x2APIC to xAPIC");
        assert_eq!(apic.set_base(0xFEC0_0C00), None, "another page");
        apic.set_base(0xFEE0_0000).unwrap();
        assert_eq!(apic.set_base(0xFEE0_0C00), None, "off to x2APIC");
        apic.set_base(0xFEE0_0800).unwrap();
        assert!(!apic.x2apic());
        apic.set_base(0xFEE0_0C00).unwrap();
        assert!(apic.x2apic());
    }

    #[test]
    fn unknown_registers_fault() {
        assert_eq!(Apic::new(0).read(0x804, 0), None);
        assert_eq!(Apic::new(0).write(x2apic::EOI, 1, 0), None);
    }
}
