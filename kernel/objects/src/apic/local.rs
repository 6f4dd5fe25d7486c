//! One local APIC: registers, priorities, what is requested and in service. Whose time it counts is
//! its owner's concern. Source: Intel SDM vol. 3, 10.4 to 10.12 (APM vol. 2, chapter 16).

use super::command::{Command, logical_id};

/// Registers by their number: the x2APIC MSR less 0x800, or the xAPIC offset / 16.
#[allow(missing_docs)]
pub mod reg {
    pub const ID: u32 = 0x02;
    pub const VERSION: u32 = 0x03;
    pub const TPR: u32 = 0x08;
    pub const PPR: u32 = 0x0A;
    pub const EOI: u32 = 0x0B;
    pub const LDR: u32 = 0x0D;
    pub const DFR: u32 = 0x0E;
    pub const SPURIOUS: u32 = 0x0F;
    pub const ISR: u32 = 0x10;
    pub const TMR: u32 = 0x18;
    pub const IRR: u32 = 0x20;
    pub const ESR: u32 = 0x28;
    pub const ICR: u32 = 0x30;
    pub const ICR_HIGH: u32 = 0x31;
    pub const LVT_TIMER: u32 = 0x32;
    pub const LVT_ERROR: u32 = 0x37;
    pub const INITIAL_COUNT: u32 = 0x38;
    pub const CURRENT_COUNT: u32 = 0x39;
    pub const DIVIDE: u32 = 0x3E;
    pub const SELF_IPI: u32 = 0x3F;
}

/// IA32_APIC_BASE: boot processor, x2APIC mode, enabled; the page of xAPIC mode.
pub mod base {
    /// Boot processor.
    pub const BSP: u64 = 1 << 8;
    /// x2APIC mode.
    pub const EXTD: u64 = 1 << 10;
    /// Enabled.
    pub const EN: u64 = 1 << 11;
    /// Where its registers stand in xAPIC mode. It cannot be moved.
    pub const PAGE: u64 = 0xFEE0_0000;
}

/// Version 0x14, six LVT entries.
const VERSION: u32 = 0x5_0014;
const MASKED: u32 = 1 << 16;
const ENABLE: u32 = 1 << 8;
/// Bits of an LVT entry that a guest may set: the timer's, LINT's, and those of the others.
const TIMER_BITS: u32 = 0xFF | MASKED | 0b11 << 17;
const LINT_BITS: u32 = 0x7FF | 1 << 13 | 1 << 15 | MASKED;
const LVT_BITS: u32 = 0x7FF | MASKED;
/// Delivery status, remote IRR.
const READ_ONLY: u32 = 1 << 12 | 1 << 14;
/// ESR: illegal vector sent, received.
const SENT_ILLEGAL: u32 = 1 << 5;
const RECEIVED_ILLEGAL: u32 = 1 << 6;
/// Vectors below are not deliverable.
const FIRST_VECTOR: u8 = 16;

/// What a write asks of the APIC's owner.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Effect {
    /// Nothing.
    None,
    /// A register of the timer (`LVT_TIMER`, `INITIAL_COUNT`, `DIVIDE`) has this value now.
    Timer(u32, u32),
    /// A level interrupt ended.
    Ended(u8),
    /// An interrupt command.
    Send(Command),
}

/// Register or value that does not exist: #GP in x2APIC mode.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Invalid;

/// 256 bits, one a vector.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
struct Vectors([u32; 8]);

impl Vectors {
    fn set(&mut self, vector: u8) {
        self.0[usize::from(vector / 32)] |= 1 << (vector % 32);
    }
    fn clear(&mut self, vector: u8) {
        self.0[usize::from(vector / 32)] &= !(1 << (vector % 32));
    }
    fn has(&self, vector: u8) -> bool {
        self.0[usize::from(vector / 32)] >> (vector % 32) & 1 == 1
    }
    fn highest(&self) -> Option<u8> {
        let word = self.0.iter().rposition(|word| *word != 0)?;
        Some((word * 32 + 31 - self.0[word].leading_zeros() as usize) as u8)
    }
}

/// The APIC.
#[derive(Clone, Debug)]
pub struct LocalApic {
    id: u32,
    base: u64,
    tpr: u8,
    spurious: u32,
    /// Logical destination and its format, xAPIC mode.
    logical: u32,
    format: u32,
    esr: u32,
    esr_shown: u32,
    icr: u64,
    lvt: [u32; 6],
    initial: u32,
    divide: u32,
    requested: Vectors,
    in_service: Vectors,
    level: Vectors,
}

impl LocalApic {
    /// After a reset, in x2APIC mode as a firmware leaves it.
    pub const fn new(id: u32) -> Self {
        let bsp = if id == 0 { base::BSP } else { 0 };
        Self {
            id,
            base: base::PAGE | base::EN | base::EXTD | bsp,
            tpr: 0,
            spurious: 0xFF,
            logical: 0,
            format: u32::MAX,
            esr: 0,
            esr_shown: 0,
            icr: 0,
            lvt: [MASKED; 6],
            initial: 0,
            divide: 0,
            requested: Vectors([0; 8]),
            in_service: Vectors([0; 8]),
            level: Vectors([0; 8]),
        }
    }

    /// IA32_APIC_BASE.
    pub fn base(&self) -> u64 {
        self.base
    }

    /// Its identifier.
    pub fn id(&self) -> u32 {
        self.id
    }

    /// In x2APIC mode.
    pub fn is_x2apic(&self) -> bool {
        self.base & (base::EN | base::EXTD) == base::EN | base::EXTD
    }

    /// In xAPIC mode.
    pub fn is_xapic(&self) -> bool {
        self.base & (base::EN | base::EXTD) == base::EN
    }

    /// Writes IA32_APIC_BASE. Allowed are the transitions of SDM 10.12.5 on the page where it is.
    pub fn set_base(&mut self, value: u64) -> Result<(), Invalid> {
        let mode = |value: u64| (value & base::EN != 0, value & base::EXTD != 0);
        let same = (value ^ self.base) & !(base::EN | base::EXTD) == 0;
        let allowed = match (mode(self.base), mode(value)) {
            (from, to) if from == to => true,
            (_, (false, true)) => false,
            // To x2APIC from xAPIC, to xAPIC from disabled, and off.
            ((true, false), (true, true)) | ((false, _), (true, false)) => true,
            (_, (false, false)) => true,
            _ => false,
        };
        if !same || !allowed {
            return Err(Invalid);
        }
        if value & base::EN == 0 && self.base & base::EN != 0 {
            *self = Self {
                base: value,
                ..Self::new(self.id)
            };
        }
        self.base = value;
        Ok(())
    }

    /// Reads a register; the current count is its owner's.
    pub fn read(&self, register: u32) -> Result<u64, Invalid> {
        let x2apic = self.is_x2apic();
        let word = |vectors: &Vectors, first| vectors.0[(register - first) as usize];
        Ok(match register {
            reg::ID if x2apic => self.id.into(),
            reg::ID => (self.id << 24).into(),
            reg::VERSION => VERSION.into(),
            reg::TPR => self.tpr.into(),
            reg::PPR => self.priority().into(),
            reg::LDR if x2apic => logical_id(self.id).into(),
            reg::LDR => self.logical.into(),
            reg::DFR if !x2apic => self.format.into(),
            reg::SPURIOUS => self.spurious.into(),
            reg::ISR..=0x17 => word(&self.in_service, reg::ISR).into(),
            reg::TMR..=0x1F => word(&self.level, reg::TMR).into(),
            reg::IRR..=0x27 => word(&self.requested, reg::IRR).into(),
            reg::ESR => self.esr_shown.into(),
            reg::ICR if x2apic => self.icr,
            reg::ICR => self.icr & 0xFFFF_FFFF,
            reg::ICR_HIGH if !x2apic => self.icr >> 32,
            reg::LVT_TIMER..=reg::LVT_ERROR => {
                self.lvt[(register - reg::LVT_TIMER) as usize].into()
            }
            reg::INITIAL_COUNT => self.initial.into(),
            reg::DIVIDE => self.divide.into(),
            _ => return Err(Invalid),
        })
    }

    /// Writes a register.
    pub fn write(&mut self, register: u32, value: u64) -> Result<Effect, Invalid> {
        let x2apic = self.is_x2apic();
        if value >> 32 != 0 && !(register == reg::ICR && x2apic) {
            return Err(Invalid);
        }
        let low = value as u32;
        let fits = |bits: u32| {
            if low & !bits == 0 {
                Ok(low)
            } else {
                Err(Invalid)
            }
        };
        match register {
            reg::TPR => self.tpr = fits(0xFF)? as u8,
            reg::EOI if low != 0 && x2apic => return Err(Invalid),
            reg::EOI => return Ok(self.end_of_interrupt()),
            reg::LDR if !x2apic => self.logical = low & 0xFF00_0000,
            reg::DFR if !x2apic => self.format = low | 0x0FFF_FFFF,
            reg::SPURIOUS => self.set_spurious(fits(0xFF | ENABLE | 1 << 9)?),
            reg::ESR if low != 0 && x2apic => return Err(Invalid),
            reg::ESR => (self.esr_shown, self.esr) = (self.esr, 0),
            reg::ICR if x2apic => return self.send(value),
            reg::ICR => return self.send(self.icr & !0xFFFF_FFFF | value),
            reg::ICR_HIGH if !x2apic => self.icr = self.icr & 0xFFFF_FFFF | value << 32,
            reg::LVT_TIMER..=reg::LVT_ERROR => return self.set_lvt(register, low),
            reg::INITIAL_COUNT => {
                self.initial = low;
                return Ok(Effect::Timer(register, low));
            }
            reg::DIVIDE => {
                self.divide = fits(0b1011)?;
                return Ok(Effect::Timer(register, low));
            }
            reg::SELF_IPI if x2apic => self.request(fits(0xFF)? as u8, false),
            _ => return Err(Invalid),
        }
        Ok(Effect::None)
    }

    fn set_spurious(&mut self, value: u32) {
        self.spurious = value;
        if value & ENABLE == 0 {
            self.lvt.iter_mut().for_each(|entry| *entry |= MASKED);
        }
    }

    fn set_lvt(&mut self, register: u32, value: u32) -> Result<Effect, Invalid> {
        let bits = match register {
            reg::LVT_TIMER => TIMER_BITS,
            0x35 | 0x36 => LINT_BITS,
            _ => LVT_BITS,
        };
        // What is only read is not looked at.
        if value & !(bits | READ_ONLY) != 0 && self.is_x2apic() {
            return Err(Invalid);
        }
        let off = if self.enabled() { 0 } else { MASKED };
        let entry = &mut self.lvt[(register - reg::LVT_TIMER) as usize];
        *entry = value & bits | off;
        Ok(match register {
            reg::LVT_TIMER => Effect::Timer(register, *entry),
            _ => Effect::None,
        })
    }

    /// An interrupt command. In xAPIC mode a destination has 8 bits, and a logical one is taken to
    /// name processors of the flat model by their IDs, as every guest programs it.
    fn send(&mut self, icr: u64) -> Result<Effect, Invalid> {
        let wide = match (self.is_x2apic(), icr >> 56) {
            (true, _) => icr,
            (false, 0xFF) => icr | 0xFFFF_FFFF << 32,
            (false, to) => icr & 0xFFFF_FFFF | to << 32,
        };
        let command = Command::decode(wide).map_err(|_| Invalid)?;
        self.icr = icr & !(1 << 12);
        if command.is_none() && icr >> 8 & 7 <= 1 {
            self.esr |= SENT_ILLEGAL;
        }
        Ok(command.map_or(Effect::None, Effect::Send))
    }

    /// An interrupt arrives.
    pub fn request(&mut self, vector: u8, level: bool) {
        if vector < FIRST_VECTOR {
            self.esr |= RECEIVED_ILLEGAL;
        } else if self.enabled() {
            self.requested.set(vector);
            match level {
                true => self.level.set(vector),
                false => self.level.clear(vector),
            }
        }
    }

    /// The timer's count reached zero.
    pub fn expire(&mut self) {
        if self.lvt[0] & MASKED == 0 {
            self.request(self.lvt[0] as u8, false);
        }
    }

    /// The vector that the processor is to get now: the highest request above what is in service
    /// and above the task's priority.
    pub fn pending(&self) -> Option<u8> {
        let vector = self.requested.highest()?;
        (self.enabled() && vector >> 4 > self.priority() >> 4).then_some(vector)
    }

    /// The processor took it.
    pub fn accept(&mut self, vector: u8) {
        self.requested.clear(vector);
        self.in_service.set(vector);
    }

    /// Enabled, by IA32_APIC_BASE and by the spurious register.
    pub fn enabled(&self) -> bool {
        self.base & base::EN != 0 && self.spurious & ENABLE != 0
    }

    /// PPR: the higher of TPR and the class in service.
    fn priority(&self) -> u8 {
        let service = self.in_service.highest().unwrap_or(0) & 0xF0;
        if service > self.tpr & 0xF0 {
            service
        } else {
            self.tpr
        }
    }

    fn end_of_interrupt(&mut self) -> Effect {
        let Some(vector) = self.in_service.highest() else {
            return Effect::None;
        };
        self.in_service.clear(vector);
        match self.level.has(vector) {
            true => Effect::Ended(vector),
            false => Effect::None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn enabled() -> LocalApic {
        let mut apic = LocalApic::new(0);
        apic.write(reg::SPURIOUS, 0x1FF).unwrap();
        apic
    }

    #[test]
    fn the_end_of_one_interrupt_is_not_that_of_a_later_one() {
        let mut apic = enabled();
        apic.request(0x41, false);
        apic.accept(apic.pending().unwrap());
        apic.request(0x55, false);
        assert_eq!(apic.pending(), Some(0x55), "a higher class interrupts");
        apic.write(reg::EOI, 0).unwrap();
        assert_eq!(apic.pending(), Some(0x55), "the first ended, not this one");
        apic.accept(0x55);
        apic.request(0x52, false);
        assert_eq!(apic.pending(), None, "the same class waits");
        apic.write(reg::EOI, 0).unwrap();
        assert_eq!(apic.pending(), Some(0x52));
    }

    #[test]
    fn a_level_interrupt_tells_its_end() {
        let mut apic = enabled();
        apic.request(0x31, true);
        apic.accept(0x31);
        assert_eq!(apic.write(reg::EOI, 0), Ok(Effect::Ended(0x31)));
        apic.request(0x31, false);
        apic.accept(0x31);
        assert_eq!(apic.write(reg::EOI, 0), Ok(Effect::None));
        assert_eq!(apic.write(reg::EOI, 0), Ok(Effect::None), "nothing is left");
    }

    #[test]
    fn priorities_hold_back() {
        let mut apic = enabled();
        apic.request(0x31, false);
        apic.write(reg::TPR, 0x30).unwrap();
        assert_eq!((apic.pending(), apic.read(reg::PPR)), (None, Ok(0x30)));
        apic.write(reg::TPR, 0x2F).unwrap();
        assert_eq!(apic.pending(), Some(0x31));
        apic.accept(0x31);
        assert_eq!(apic.read(reg::PPR), Ok(0x30));
        assert_eq!(apic.read(reg::ISR + 1), Ok(1 << 17));
    }

    #[test]
    fn what_is_off_gets_nothing() {
        let mut apic = LocalApic::new(0);
        apic.request(0x31, false);
        assert_eq!(apic.pending(), None);
        let mut apic = enabled();
        apic.write(reg::LVT_TIMER, 0x31).unwrap();
        apic.write(reg::SPURIOUS, 0xFF).unwrap();
        assert_eq!(apic.read(reg::LVT_TIMER), Ok(u64::from(MASKED) | 0x31));
        let masked = Effect::Timer(reg::LVT_TIMER, MASKED | 0x31);
        assert_eq!(apic.write(reg::LVT_TIMER, 0x31), Ok(masked));
    }

    #[test]
    fn what_is_only_read_may_be_written() {
        let mut apic = enabled();
        assert_eq!(apic.write(0x35, 0x5700), Ok(Effect::None));
        assert_eq!(apic.read(0x35), Ok(0x700));
    }

    #[test]
    fn modes_change_as_the_manual_draws_it() {
        let x2apic = base::PAGE | base::BSP | base::EN | base::EXTD;
        let (xapic, off) = (x2apic & !base::EXTD, base::PAGE | base::BSP);
        let mut apic = LocalApic::new(0);
        assert_eq!(apic.set_base(xapic), Err(Invalid));
        assert_eq!(apic.set_base(x2apic | 1 << 12), Err(Invalid));
        assert_eq!(apic.set_base(off | base::EXTD), Err(Invalid));
        assert_eq!(apic.set_base(off), Ok(()));
        assert_eq!(apic.set_base(x2apic), Err(Invalid));
        assert_eq!(apic.set_base(xapic), Ok(()));
        assert_eq!(apic.set_base(x2apic), Ok(()));
        assert_eq!(apic.base(), x2apic);
    }

    #[test]
    fn registers_of_the_other_mode_do_not_exist() {
        let mut apic = LocalApic::new(3);
        assert_eq!(apic.read(reg::ID), Ok(3));
        assert_eq!(apic.read(reg::LDR), Ok(8));
        for register in [reg::DFR, reg::ICR_HIGH, 0x04, 0x2F, 0x3A, 0x40] {
            assert_eq!(apic.read(register), Err(Invalid), "{register:#x}");
            assert_eq!(apic.write(register, 0), Err(Invalid), "{register:#x}");
        }
        for register in [
            reg::ID,
            reg::VERSION,
            reg::PPR,
            reg::ISR,
            reg::CURRENT_COUNT,
        ] {
            assert_eq!(apic.write(register, 0), Err(Invalid), "{register:#x}");
        }
        for (register, value) in [
            (reg::EOI, 1),
            (reg::ESR, 1),
            (reg::TPR, 0x100),
            (reg::LVT_TIMER, 1 << 32),
            (reg::DIVIDE, 4),
            (0x35, 1 << 11),
        ] {
            assert_eq!(apic.write(register, value), Err(Invalid), "{register:#x}");
        }
        apic.set_base(base::PAGE).unwrap();
        apic.set_base(base::PAGE | base::EN).unwrap();
        assert_eq!(apic.read(reg::ID), Ok(3 << 24));
        assert_eq!(apic.read(reg::DFR), Ok(0xFFFF_FFFF));
        assert_eq!(apic.write(reg::SELF_IPI, 0x40), Err(Invalid));
    }

    #[test]
    fn commands_are_decoded_in_both_modes() {
        let mut apic = LocalApic::new(0x12);
        let sent = |icr| Ok(Effect::Send(Command::decode(icr).unwrap().unwrap()));
        assert_eq!(apic.write(reg::ICR, 5 << 32 | 0x40), sent(5 << 32 | 0x40));
        assert_eq!(apic.read(reg::ICR), Ok(5 << 32 | 0x40));
        assert_eq!(apic.write(reg::ICR, 1 << 13), Err(Invalid));
        assert_eq!(apic.write(reg::ICR, 5), Ok(Effect::None));
        assert_eq!(apic.esr, SENT_ILLEGAL);
        apic.set_base(base::PAGE).unwrap();
        apic.set_base(base::PAGE | base::EN).unwrap();
        apic.write(reg::ICR_HIGH, 0xFF00_0000).unwrap();
        assert_eq!(apic.write(reg::ICR, 0x40), sent(0xFFFF_FFFF << 32 | 0x40));
        apic.write(reg::ICR_HIGH, 0x0500_0000).unwrap();
        assert_eq!(apic.write(reg::ICR, 0x840), sent(5 << 32 | 0x840));
        assert_eq!(apic.read(reg::ICR_HIGH), Ok(0x0500_0000));
    }
}
