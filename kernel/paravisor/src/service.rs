//! The lower guest's requests, served. What is not served is what `docs/pfe.md` says: unknown
//! MSRs raise #GP, unknown ports read as ones and swallow writes, unknown hypercalls fail.

use crate::context::Paravisor;
use crate::{cpuid, hypercall, msr};
use tessera_defs::port::{COM1, PM1A_CNT};
use tessera_protocol::error::{Error, GuestFault, Result};
use tessera_protocol::exception::serve::Service;

/// Ports of one 16550.
const UART_PORTS: u16 = 8;

/// The services of the lower guest.
pub struct Services<'a, 'b>(pub &'a mut Paravisor<'b>);

impl Service for Services<'_, '_> {
    fn cpuid(&mut self, leaf: u32, subleaf: u32) -> Result<[u32; 4]> {
        Ok(cpuid::answer(self.0, leaf, subleaf))
    }
    fn rdmsr(&mut self, msr: u32) -> Result<u64> {
        msr::read(self.0, msr)
    }
    fn wrmsr(&mut self, msr: u32, value: u64) -> Result<()> {
        msr::write(self.0, msr, value)
    }
    fn io_in(&mut self, port: u16, size: u8) -> Result<u32> {
        if forwarded(port) {
            return self.0.host.io_in(port, size);
        }
        Ok(u32::MAX)
    }
    fn io_out(&mut self, port: u16, size: u8, value: u32) -> Result<()> {
        if forwarded(port) {
            return self.0.host.io_out(port, size, value);
        }
        Ok(())
    }
    fn halt(&mut self) -> Result<()> {
        self.0.halted = true;
        Ok(())
    }
    fn hypercall(&mut self, control: u64, input: u64, output: u64) -> Result<u64> {
        Ok(hypercall::serve(self.0, control, input, output))
    }
    fn mmio_read(&mut self, gpa: u64, _: u8) -> Result<u64> {
        Err(Error::Guest(GuestFault::BadAddress(gpa)))
    }
    fn mmio_write(&mut self, gpa: u64, _: u8, _: u64) -> Result<()> {
        Err(Error::Guest(GuestFault::BadAddress(gpa)))
    }
}

/// Console and soft off go to the host; nothing else does.
fn forwarded(port: u16) -> bool {
    (COM1..COM1 + UART_PORTS).contains(&port) || port == PM1A_CNT
}
