//! Device memory: the IOAPIC's two registers.

use super::{Vmm, missing::Request};

impl Vmm {
    /// A read of a device; `None` where there is none.
    pub fn mmio_read(&mut self, gpa: u64) -> Option<u64> {
        self.note("mmio");
        let value = self.devices.ioapic.read(gpa).map(u64::from);
        if value.is_none() {
            self.missed(Request::MmioRead(gpa & !0xFFF));
        }
        value
    }

    /// A write of a device; `None` where there is none.
    pub fn mmio_write(&mut self, gpa: u64, value: u64) -> Option<()> {
        self.note("mmio");
        match self.devices.ioapic.write(gpa, value as u32) {
            Some(vector) => self.route(vector),
            None => {
                self.missed(Request::MmioWrite(gpa & !0xFFF));
                return None;
            }
        }
        Some(())
    }
}
