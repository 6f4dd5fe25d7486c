//! Device memory: the IOAPIC's two registers, and the local APIC's in xAPIC mode.

use super::{Vmm, missing::Request};

impl Vmm {
    /// Whether a device answers in the page of `gpa`, for the processor whose turn it is.
    pub fn device_page(&mut self, gpa: u64) -> bool {
        gpa & !0xFFF == super::ioapic::BASE || self.vp().apic.at(gpa).is_some()
    }

    /// A read of a device; `None` where there is none.
    pub fn mmio_read(&mut self, gpa: u64) -> Option<u64> {
        self.note("mmio");
        let now = self.now();
        let apic = &mut self.vp().apic;
        if let Some(register) = apic.at(gpa) {
            apic.tick(now);
            return Some(apic.load(register, now).into());
        }
        let value = self.devices.ioapic.read(gpa).map(u64::from);
        if value.is_none() {
            self.missed(Request::MmioRead(gpa & !0xFFF));
        }
        value
    }

    /// A write of a device; `None` where there is none.
    pub fn mmio_write(&mut self, gpa: u64, value: u64) -> Option<()> {
        self.note("mmio");
        let now = self.now();
        let apic = &mut self.vp().apic;
        if let Some(register) = apic.at(gpa) {
            apic.store(register, value as u32, now);
            self.apic_wrote();
            return Some(());
        }
        match self.devices.ioapic.write(gpa, value as u32) {
            Some(message) => self.route(message),
            None => {
                self.missed(Request::MmioWrite(gpa & !0xFFF));
                return None;
            }
        }
        Some(())
    }
}
