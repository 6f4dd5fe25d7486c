//! The lower guest's requests, served. What is not served is what `docs/pfe.md` says: unknown
//! MSRs raise #GP, unknown ports read as ones and swallow writes, unknown hypercalls fail.

use crate::context::Paravisor;
use crate::{cpuid, hypercall, msr};
use tessera_defs::port::{COM1, PM1A_CNT};
use tessera_defs::snp::vmsa::Vmsa;
use tessera_protocol::error::{Error, GuestFault, Result};
use tessera_protocol::exception::serve::Service;
use tessera_protocol::ghcb::request;
use tessera_protocol::registers::Registers;

/// Ports of one 16550.
const UART_PORTS: u16 = 8;

/// The service of the lower guest.
pub struct Lower<'a>(pub &'a mut Paravisor);

impl Service for Lower<'_> {
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
            return request::io_in(&mut self.0.ghcb, port, size);
        }
        Ok(u32::MAX)
    }
    fn io_out(&mut self, port: u16, size: u8, value: u32) -> Result<()> {
        if forwarded(port) {
            return request::io_out(&mut self.0.ghcb, port, size, value);
        }
        Ok(())
    }
    fn halt(&mut self) -> Result<()> {
        request::hlt(&mut self.0.ghcb)
    }
    fn hypercall(&mut self, control: u64, input: u64, _: u64) -> Result<u64> {
        Ok(hypercall::serve(self.0, control, input))
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

/// Registers in the lower VMSA, by their encoding.
pub struct Guest<'a>(pub &'a mut Vmsa);

impl Guest<'_> {
    fn slot(&mut self, number: u8) -> &mut u64 {
        let area = &mut *self.0;
        match number & 15 {
            0 => &mut area.rax,
            1 => &mut area.rcx,
            2 => &mut area.rdx,
            3 => &mut area.rbx,
            4 => &mut area.rsp,
            5 => &mut area.rbp,
            6 => &mut area.rsi,
            7 => &mut area.rdi,
            8 => &mut area.r8,
            9 => &mut area.r9,
            10 => &mut area.r10,
            11 => &mut area.r11,
            12 => &mut area.r12,
            13 => &mut area.r13,
            14 => &mut area.r14,
            _ => &mut area.r15,
        }
    }
}

impl Registers for Guest<'_> {
    fn register(&self, number: u8) -> u64 {
        let mut copy = *self.0;
        *Guest(&mut copy).slot(number)
    }
    fn set_register(&mut self, number: u8, value: u64) {
        *self.slot(number) = value;
    }
    fn rip(&self) -> u64 {
        self.0.rip
    }
    fn set_rip(&mut self, rip: u64) {
        self.0.rip = rip;
    }
}
