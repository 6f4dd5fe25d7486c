//! The lower guest's local APIC, by `objects::interrupts`; its timer is the paravisor's own.

use crate::context::Paravisor;
use crate::msr::gp;
use crate::traps::TIMER;
use crate::{devices, processors, traps};
use tessera_defs::x86::x2apic;
use tessera_objects::apic::command::Delivery;
use tessera_objects::apic::io::Message;
use tessera_objects::apic::local::{Effect, LocalApic, reg};
use tessera_protocol::error::Result;

/// First x2APIC MSR.
pub const FIRST: u32 = 0x800;
/// LVT: masked, mode of the timer.
const MASKED: u32 = 1 << 16;
const MODE: u32 = 0b11 << 17;
/// Spurious vector and enable bit of the paravisor's own APIC.
const OWN_SPURIOUS: u64 = 1 << 8 | traps::SPURIOUS as u64;

impl Paravisor<'_> {
    /// Reads a register by its number (`reg`).
    pub fn apic_read(&mut self, register: u32) -> Result<u64> {
        if register == reg::CURRENT_COUNT {
            return self.host.rdmsr(x2apic::CURRENT_COUNT);
        }
        self.apic.read(register).or_else(|_| gp())
    }

    /// Writes a register by its number.
    pub fn apic_write(&mut self, register: u32, value: u64) -> Result<()> {
        let Ok(effect) = self.apic.write(register, value) else {
            return gp();
        };
        match effect {
            Effect::None => Ok(()),
            Effect::Timer(register, value) => self.set_timer(register, value),
            Effect::Ended(vector) => devices::ended(self, vector),
            Effect::Send(command) => {
                processors::send(self, command);
                Ok(())
            }
        }
    }

    /// The guest's timer registers go to the paravisor's own, with its vector.
    fn set_timer(&mut self, register: u32, value: u32) -> Result<()> {
        self.host.wrmsr(x2apic::SIVR, OWN_SPURIOUS)?;
        let value = match register {
            reg::LVT_TIMER => value & (MASKED | MODE) | u32::from(TIMER),
            _ => value,
        };
        self.host.wrmsr(FIRST + register, value.into())
    }

    /// A message of the IOAPIC.
    pub fn receive(&mut self, message: Message) {
        let own = self.apic.id();
        match message.command.delivery {
            Delivery::Fixed(vector) | Delivery::Lowest(vector)
                if message.command.reaches(own, u32::MAX) =>
            {
                self.apic.request(vector, message.level);
            }
            _ => processors::send_as(self, message.command, message.level),
        }
    }

    /// The paravisor's timer fired: it is acknowledged, and the guest's has expired.
    pub fn tick(&mut self) {
        self.end_of_interrupt();
        self.apic.expire();
    }

    /// INIT: as after a reset, in the mode where it is; the timer is silent.
    pub fn apic_reset(&mut self) -> Result<()> {
        self.apic = LocalApic::new(self.apic.id());
        self.host
            .wrmsr(x2apic::LVT_TIMER, u64::from(MASKED | u32::from(TIMER)))
    }

    /// Ends the interrupt in service.
    pub fn end_of_interrupt(&mut self) {
        if self.host.wrmsr(x2apic::EOI, 0).is_err() {
            crate::door::refuse(self.host_fault());
        }
    }
}
