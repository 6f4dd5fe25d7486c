//! The lower guest's x2APIC timer, on the paravisor's own.

use crate::context::Paravisor;
use crate::msr::gp;
use crate::traps::TIMER;
use tessera_defs::x86::x2apic;
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
    /// A vector that fired and was not injected yet.
    pub pending: Option<u8>,
}

impl Paravisor<'_> {
    /// RDMSR of an x2APIC register.
    pub fn apic_read(&mut self, register: u32) -> Result<u64> {
        match register {
            x2apic::ID => Ok(0),
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
            self.apic.pending = Some(vector);
        }
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
