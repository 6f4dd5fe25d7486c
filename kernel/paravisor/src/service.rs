//! The lower guest's requests, served. Ports are the host's, all of them. What is not served is
//! what `docs/pfe.md` says: unknown MSRs raise #GP, unknown hypercalls fail.

use crate::context::Paravisor;
use crate::{cpuid, devices, hypercall, msr};
use tessera_protocol::error::Result;
use tessera_protocol::exception::serve::Service;

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
        self.0.host.io_in(port, size)
    }
    fn io_out(&mut self, port: u16, size: u8, value: u32) -> Result<()> {
        self.0.host.io_out(port, size, value)
    }
    fn halt(&mut self) -> Result<()> {
        self.0.halted = true;
        Ok(())
    }
    fn hypercall(&mut self, control: u64, input: u64, output: u64) -> Result<u64> {
        Ok(hypercall::serve(self.0, control, input, output))
    }
    fn mmio_read(&mut self, gpa: u64, size: u8) -> Result<u64> {
        devices::read(self.0, gpa, size)
    }
    fn mmio_write(&mut self, gpa: u64, size: u8, value: u64) -> Result<()> {
        devices::write(self.0, gpa, size, value)
    }
}
