//! One local APIC: registers, priorities, what is requested and in service. Whose time it counts is
//! its owner's concern. Source: Intel SDM vol. 3, 10.4 to 10.12 (APM vol. 2, chapter 16).

mod access;
mod registers;
#[cfg(test)]
mod tests;
mod vectors;

pub use registers::{base, reg};

use super::command::Command;
use vectors::Vectors;

const MASKED: u32 = 1 << 16;
const ENABLE: u32 = 1 << 8;
/// ESR: illegal vector received.
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
