//! The lower guest's x2APIC timer, on the paravisor's own.

use crate::context::Paravisor;
use crate::msr::gp;
use crate::processors;
use crate::traps::TIMER;
use tessera_defs::x86::x2apic;
use tessera_objects::apic::command::{Command, logical_id};
use tessera_protocol::error::Result;

const MASKED: u64 = 1 << 16;
const MODE: u64 = 0b11 << 17;
const VECTOR: u64 = 0xFF;
const ENABLE: u64 = 1 << 8;
/// Version 0x14, six LVT entries.
const VERSION: u64 = 0x5_0014;

/// Registers that the guest wrote, and what waits for it.
#[derive(Default)]
pub struct Apic {
    sivr: u64,
    lvt_timer: u64,
    divide: u64,
    initial: u64,
    tpr: u64,
    icr: u64,
    /// Vectors that came and were not injected yet, a bit each.
    requested: [u64; 4],
}

impl Apic {
    /// An interrupt came.
    pub fn request(&mut self, vector: u8) {
        self.requested[usize::from(vector / 64)] |= 1 << (vector % 64);
    }

    /// Several came.
    pub fn request_all(&mut self, vectors: [u64; 4]) {
        let words = self.requested.iter_mut().zip(vectors);
        words.for_each(|(word, new)| *word |= new);
    }

    /// The one that goes in next.
    pub fn pending(&self) -> Option<u8> {
        let word = (0..4).rev().find(|word| self.requested[*word] != 0)?;
        Some((word * 64) as u8 + self.requested[word].ilog2() as u8)
    }

    /// It went in.
    pub fn accept(&mut self, vector: u8) {
        self.requested[usize::from(vector / 64)] &= !(1 << (vector % 64));
    }
}

impl Paravisor<'_> {
    /// RDMSR of an x2APIC register.
    pub fn apic_read(&mut self, register: u32) -> Result<u64> {
        match register {
            x2apic::ID => Ok(self.index as u64),
            x2apic::LDR => Ok(logical_id(self.index as u32).into()),
            x2apic::ICR => Ok(self.apic.icr),
            x2apic::VERSION => Ok(VERSION),
            x2apic::TPR => Ok(self.apic.tpr),
            x2apic::SIVR => Ok(self.apic.sivr),
            x2apic::LVT_TIMER => Ok(self.apic.lvt_timer),
            x2apic::INITIAL_COUNT => Ok(self.apic.initial),
            x2apic::CURRENT_COUNT => self.host.rdmsr(x2apic::CURRENT_COUNT),
            x2apic::DIVIDE => Ok(self.apic.divide),
            _ => gp(),
        }
    }

    /// WRMSR of an x2APIC register; the timer's go to the paravisor's own, with its vector.
    pub fn apic_write(&mut self, register: u32, value: u64) -> Result<()> {
        match register {
            x2apic::EOI if value == 0 => Ok(()),
            x2apic::ICR => {
                let Ok(command) = Command::decode(value) else {
                    return gp();
                };
                self.apic.icr = value;
                command.into_iter().for_each(|c| processors::send(self, c));
                Ok(())
            }
            x2apic::SELF_IPI if (16..=VECTOR).contains(&value) => {
                self.apic.request(value as u8);
                Ok(())
            }
            x2apic::TPR if value <= VECTOR => {
                self.apic.tpr = value;
                Ok(())
            }
            x2apic::SIVR if value <= VECTOR | ENABLE => {
                self.apic.sivr = value;
                self.host_apic(x2apic::SIVR, ENABLE | VECTOR)
            }
            x2apic::LVT_TIMER if value & !(VECTOR | MASKED | MODE) == 0 => {
                self.apic.lvt_timer = value;
                self.host_apic(register, value & (MASKED | MODE) | u64::from(TIMER))
            }
            x2apic::DIVIDE if value <= 0xB => {
                self.apic.divide = value;
                self.host_apic(register, value)
            }
            x2apic::INITIAL_COUNT if value <= u64::from(u32::MAX) => {
                self.apic.initial = value;
                self.host_apic(register, value)
            }
            _ => gp(),
        }
    }

    /// The paravisor's timer fired: it is acknowledged, and the guest's vector waits.
    pub fn tick(&mut self) {
        self.end_of_interrupt();
        let on = self.apic.sivr & ENABLE != 0 && self.apic.lvt_timer & MASKED == 0;
        let vector = (self.apic.lvt_timer & VECTOR) as u8;
        if on && vector >= 32 {
            self.apic.request(vector);
        }
    }

    /// INIT: as after a reset, the timer silent.
    pub fn apic_reset(&mut self) -> Result<()> {
        self.apic = Apic::default();
        self.host_apic(x2apic::LVT_TIMER, MASKED | u64::from(TIMER))
    }

    /// Ends the interrupt in service.
    pub fn end_of_interrupt(&mut self) {
        if self.host_apic(x2apic::EOI, 0).is_err() {
            crate::door::refuse(self.host_fault());
        }
    }

    fn host_apic(&mut self, register: u32, value: u64) -> Result<()> {
        self.host.wrmsr(register, value)
    }
}
