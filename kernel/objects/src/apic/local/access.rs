//! Reads and writes of its registers, as MSRs of x2APIC mode or memory of xAPIC mode.

use super::{ENABLE, Effect, Invalid, LocalApic, MASKED, Vectors, reg};
use crate::apic::command::{Command, logical_id};

/// Version 0x14, six LVT entries.
const VERSION: u32 = 0x5_0014;
/// Bits of an LVT entry that a guest may set: the timer's, LINT's, and those of the others.
const TIMER_BITS: u32 = 0xFF | MASKED | 0b11 << 17;
const LINT_BITS: u32 = 0x7FF | 1 << 13 | 1 << 15 | MASKED;
const LVT_BITS: u32 = 0x7FF | MASKED;
/// Delivery status, remote IRR.
const READ_ONLY: u32 = 1 << 12 | 1 << 14;
/// ESR: illegal vector sent.
pub const SENT_ILLEGAL: u32 = 1 << 5;

impl LocalApic {
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
}
