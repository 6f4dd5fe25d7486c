//! Carries an event out: asks the service, puts the answer into the registers, moves RIP on.

use crate::error::Result;
use crate::exception::event::{Event, NotServed};
use crate::insn::{Action, Instruction, extend};
use crate::registers::{RAX, RBX, RCX, RDX, Registers, merge};

/// Who answers: the host by a protocol of this crate, or a paravisor.
pub trait Service {
    /// EAX, EBX, ECX, EDX.
    fn cpuid(&mut self, leaf: u32, subleaf: u32) -> Result<[u32; 4]>;
    /// RDMSR.
    fn rdmsr(&mut self, msr: u32) -> Result<u64>;
    /// WRMSR.
    fn wrmsr(&mut self, msr: u32, value: u64) -> Result<()>;
    /// IN of 1, 2, 4 bytes.
    fn io_in(&mut self, port: u16, size: u8) -> Result<u32>;
    /// OUT of 1, 2, 4 bytes.
    fn io_out(&mut self, port: u16, size: u8, value: u32) -> Result<()>;
    /// Waits for an interrupt.
    fn halt(&mut self) -> Result<()>;
    /// Hypercall: control, input, output; the result for RAX.
    fn hypercall(&mut self, control: u64, input: u64, output: u64) -> Result<u64>;
    /// MMIO read of 1, 2, 4, 8 bytes.
    fn mmio_read(&mut self, gpa: u64, size: u8) -> Result<u64>;
    /// MMIO write of 1, 2, 4, 8 bytes.
    fn mmio_write(&mut self, gpa: u64, size: u8, value: u64) -> Result<()>;
}

/// Serves `event` of an instruction of `length` bytes; `mmio` decodes the instruction where the
/// event is MMIO (its own length counts then). On an error, registers and RIP are unchanged.
/// Errors: `Protocol(Host(Inject(vector)))` where the exception belongs to the guest.
pub fn serve(
    service: &mut impl Service,
    event: Event,
    length: u8,
    mmio: impl FnOnce() -> core::result::Result<Instruction, NotServed>,
    registers: &mut impl Registers,
) -> core::result::Result<(), NotServed> {
    let mut length = length;
    match event {
        Event::Cpuid => cpuid(service, registers)?,
        Event::ReadMsr => {
            let value = service.rdmsr(low(registers, RCX))?;
            registers.set_register(RAX, value & 0xFFFF_FFFF);
            registers.set_register(RDX, value >> 32);
        }
        Event::WriteMsr => {
            let value = u64::from(low(registers, RAX)) | u64::from(low(registers, RDX)) << 32;
            service.wrmsr(low(registers, RCX), value)?;
        }
        Event::In { port, size } => {
            let value = service.io_in(port, size)?;
            merge(registers, RAX, size, value.into());
        }
        Event::Out { port, size } => {
            let value = low(registers, RAX) & crate::ghcb::request::mask(size) as u32;
            service.io_out(port, size, value)?;
        }
        Event::Halt => service.halt()?,
        Event::Wbinvd => {}
        Event::Hypercall => {
            let (rcx, rdx) = (registers.register(RCX), registers.register(RDX));
            let result = service.hypercall(rcx, rdx, registers.register(8))?;
            registers.set_register(RAX, result);
        }
        Event::Mmio { gpa } => {
            let instruction = mmio()?;
            access(service, gpa, instruction, registers)?;
            length = instruction.length;
        }
    }
    registers.set_rip(registers.rip().wrapping_add(length.into()));
    Ok(())
}

fn low(registers: &impl Registers, number: u8) -> u32 {
    registers.register(number) as u32
}

fn cpuid(service: &mut impl Service, registers: &mut impl Registers) -> Result<()> {
    let values = service.cpuid(low(registers, RAX), low(registers, RCX))?;
    for (number, value) in [RAX, RBX, RCX, RDX].into_iter().zip(values) {
        registers.set_register(number, value.into());
    }
    Ok(())
}

fn access(
    service: &mut impl Service,
    gpa: u64,
    instruction: Instruction,
    registers: &mut impl Registers,
) -> Result<()> {
    let size = instruction.size;
    let mask = crate::ghcb::request::mask(size);
    match instruction.action {
        Action::Store { register, high } => {
            let value = registers.register(register) >> if high { 8 } else { 0 };
            service.mmio_write(gpa, size, value & mask)
        }
        Action::StoreImmediate(value) => service.mmio_write(gpa, size, value & mask),
        Action::Load {
            register,
            high,
            into,
            signed,
        } => {
            let value = extend(service.mmio_read(gpa, size)?, size, signed);
            if high {
                let old = registers.register(register) & !0xFF00;
                registers.set_register(register, old | (value & 0xFF) << 8);
            } else {
                merge(registers, register, into, value);
            }
            Ok(())
        }
    }
}
