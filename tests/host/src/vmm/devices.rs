//! The devices of a PC that this host has, and their lines to the IOAPIC.

use super::{
    Vmm,
    apic::route::{Delivery, Message, To},
    cmos::Cmos,
    ioapic::IoApic,
    missing::Request,
    pic::Pics,
    pm::Pm,
    uart::Uart,
};
use crate::report::End;
use tessera_defs::{
    mode::{HostProfile, Mode},
    port,
};

/// COM1's line.
const COM1_LINE: usize = 4;

/// All of them.
#[derive(Clone, Debug, Default)]
pub struct Devices {
    /// COM1.
    pub uart: Uart,
    /// 8259A.
    pub pics: Pics,
    /// IOAPIC.
    pub ioapic: IoApic,
    /// Real-time clock.
    pub cmos: Cmos,
    /// ACPI fixed hardware.
    pub pm: Pm,
    /// The host could reach the page that it was asked to look at.
    pub looked: bool,
}

impl Vmm {
    /// Whether there is a device that sends interrupt messages. Without Hyper-V's interface they have no way
    /// to a paravisor's guest.
    fn sends_messages(&self) -> bool {
        let below = matches!(self.scenario.mode, Mode::SnpParavisor | Mode::TdxParavisor);
        self.scenario.messages && (!below || self.scenario.profile == HostProfile::HyperV)
    }

    /// A byte or word from a device; `None` where none claims the port.
    pub(super) fn device_in(&mut self, at: u16) -> Option<u32> {
        let now = self.now();
        let messages = self.sends_messages();
        let devices = &mut self.devices;
        let value = match at {
            port::COM1..=0x3FF => devices.uart.read(at - port::COM1).into(),
            port::CMOS_DATA => devices.cmos.read(now / 1_000_000_000).into(),
            port::TEST_MESSAGES if messages => port::TEST_MESSAGES_ID,
            port::TEST_LATE if self.scenario.messages => match self.scenario.late {
                Some(_) => self.scenario.moment,
                None => 0,
            },
            port::TEST_MEMORY if self.scenario.messages => devices.looked.into(),
            _ => match devices.pics.read(at) {
                Some(byte) => byte.into(),
                None => devices.pm.read(at, now)?,
            },
        };
        self.lines();
        Some(value)
    }

    /// A write to a device; `None` where none claims the port.
    pub(super) fn device_out(&mut self, at: u16, size: u8, value: u32) -> Option<()> {
        let messages = self.sends_messages();
        let devices = &mut self.devices;
        match at {
            port::COM1..=0x3FF => {
                if let Some(byte) = devices.uart.write(at - port::COM1, value as u8) {
                    self.console(byte);
                }
            }
            port::CMOS_INDEX => devices.cmos.select(value as u8),
            port::CMOS_DATA => devices.cmos.write(value as u8),
            port::TEST_MESSAGES if messages && size == 4 => {
                let (vector, mode) = (value as u8, Delivery::Fixed);
                let to = To::Physical(value >> 24);
                match self.scenario.mode {
                    // The device is the paravisor's guest's.
                    Mode::SnpParavisor | Mode::TdxParavisor => self.proxy(value >> 24, vector),
                    _ => self.send(Message { vector, mode, to }, None),
                }
            }
            port::TEST_LATE if self.scenario.messages => {
                if let Some(lie) = self.scenario.late.take() {
                    self.scenario.lie = lie;
                    self.begins = true;
                }
            }
            port::TEST_MEMORY if self.scenario.messages && size == 4 => {
                self.look = Some(u64::from(value) << 12);
                devices.looked = false;
            }
            // The POST code, and the delay that PCs make by writing here.
            0x80 => {}
            port::PM1A_CNT if size >= 2 && value & u32::from(port::PM1A_SOFT_OFF) != 0 => {
                self.end = Some(self.plain_refusal().unwrap_or(End::Shutdown));
            }
            port::RESET if value as u8 & port::RESET_NOW == port::RESET_NOW => {
                self.end = Some(End::Reset);
            }
            port::RESET => {}
            _ => match devices.pics.write(at, value as u8) {
                Some(()) => {}
                None => devices.pm.write(at, value)?,
            },
        }
        self.lines();
        Some(())
    }

    /// Takes the devices' lines to the IOAPIC, and its interrupts to the processor.
    pub fn lines(&mut self) {
        let level = self.devices.uart.interrupt();
        let message = self.devices.ioapic.line(COM1_LINE, level);
        self.route(message);
    }

    /// What was typed at the console goes to COM1, as long as it has room.
    pub fn take_typed(&mut self) {
        while self.devices.uart.has_room() {
            let Some(byte) = (self.machine.typed)() else {
                return;
            };
            self.devices.uart.receive(byte);
            self.lines();
        }
    }

    /// An interrupt of the IOAPIC.
    pub(super) fn route(&mut self, message: Option<Message>) {
        if let Some(message) = message {
            self.send(message, None);
        }
    }

    /// Counts what is not modelled.
    pub fn missed(&mut self, request: Request) {
        self.unsupported(request, [0; 4]);
    }

    /// The same for a request of the vendor's or Hyper-V's interface, with its fields.
    pub fn unsupported(&mut self, request: Request, fields: [u64; 4]) {
        self.missing.count(request, self.rip, fields);
    }
}
