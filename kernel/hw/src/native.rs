//! Host calls of a plain machine, or of a guest below a paravisor: the instructions themselves.
#![allow(unsafe_code)] // reason: port I/O and MSRs

use crate::{instr, probe, start};
use tessera_handoff::layout::SHARED_MAP;
use tessera_isolation::refusal::Refusal;
use tessera_isolation::strategy::traits::{Bridge, Pages, Processors, SendIpi, Start};
use tessera_protocol::error::{Error, GuestFault, HostFault, Result};
use tessera_protocol::exception::serve::Service;

/// A hypercall by its instruction: control, input, output; the result value.
pub type Instruction = unsafe fn(u64, u64, u64) -> u64;

/// Demands: a plain machine or a paravisor, with trap handlers installed.
#[derive(Debug)]
pub struct NativeCalls(Option<Instruction>);

impl NativeCalls {
    /// See the type.
    ///
    /// # Safety
    /// What the type demands; devices that callers reach start no transfer into Rust's memory; device
    /// memory that callers name is mapped in the shared map, and is no memory.
    pub const unsafe fn new() -> Self {
        Self(None)
    }

    /// The same where hypercalls by that instruction are served.
    ///
    /// # Safety
    /// As `new`; hypercalls that callers make name no memory.
    pub const unsafe fn calling(hypercall: Instruction) -> Self {
        Self(Some(hypercall))
    }
}

impl Service for NativeCalls {
    fn cpuid(&mut self, leaf: u32, subleaf: u32) -> Result<[u32; 4]> {
        let answer = instr::cpuid(leaf, subleaf);
        Ok([answer.eax, answer.ebx, answer.ecx, answer.edx])
    }
    fn rdmsr(&mut self, msr: u32) -> Result<u64> {
        // SAFETY: reading has no effect on memory.
        let value = unsafe { probe::rdmsr(msr) };
        value.ok_or(Error::Host(HostFault::Inject(
            tessera_defs::x86::vector::GP,
        )))
    }
    fn wrmsr(&mut self, msr: u32, value: u64) -> Result<()> {
        // SAFETY: the promise of `new`; a #GP is an error, not a fault.
        let done = unsafe { probe::wrmsr(msr, value) };
        if done {
            Ok(())
        } else {
            Err(Error::Host(HostFault::Inject(13)))
        }
    }
    fn io_in(&mut self, port: u16, size: u8) -> Result<u32> {
        // SAFETY: the promise of `new`.
        unsafe {
            match size {
                1 => Ok(instr::in8(port).into()),
                2 => Ok(instr::in16(port).into()),
                4 => Ok(instr::in32(port)),
                _ => Err(Error::Guest(GuestFault::BadLength(size.into()))),
            }
        }
    }
    fn io_out(&mut self, port: u16, size: u8, value: u32) -> Result<()> {
        // SAFETY: the promise of `new`.
        unsafe {
            match size {
                1 => instr::out8(port, value as u8),
                2 => instr::out16(port, value as u16),
                4 => instr::out32(port, value),
                _ => return Err(Error::Guest(GuestFault::BadLength(size.into()))),
            }
        }
        Ok(())
    }
    fn halt(&mut self) -> Result<()> {
        instr::wait_for_interrupt();
        Ok(())
    }
    fn hypercall(&mut self, control: u64, first: u64, second: u64) -> Result<u64> {
        let call = self.0.ok_or(Error::Guest(GuestFault::BadValue(control)))?;
        // SAFETY: the promise of `calling`.
        Ok(unsafe { call(control, first, second) })
    }
    fn mmio_read(&mut self, gpa: u64, size: u8) -> Result<u64> {
        let at = SHARED_MAP + gpa;
        // SAFETY: the promise of `new`.
        unsafe {
            match size {
                1 => Ok((at as *const u8).read_volatile().into()),
                2 => Ok((at as *const u16).read_volatile().into()),
                4 => Ok((at as *const u32).read_volatile().into()),
                _ => Err(Error::Guest(GuestFault::BadLength(size.into()))),
            }
        }
    }
    fn mmio_write(&mut self, gpa: u64, size: u8, value: u64) -> Result<()> {
        let at = SHARED_MAP + gpa;
        // SAFETY: the promise of `new`.
        unsafe {
            match size {
                1 => (at as *mut u8).write_volatile(value as u8),
                2 => (at as *mut u16).write_volatile(value as u16),
                4 => (at as *mut u32).write_volatile(value as u32),
                _ => return Err(Error::Guest(GuestFault::BadLength(size.into()))),
            }
        }
        Ok(())
    }
}

/// Starts processors by INIT and start-up IPIs (SDM vol. 3, 9.4), through a page below 1 MiB.
#[derive(Debug)]
pub struct InitSipi {
    page: u32,
}

/// Interrupt command: INIT, level asserted; start-up with the page's number as vector.
const INIT: u32 = 0x4500;
const STARTUP: u32 = 0x4600;
/// Turns of a loop between the two, for processors that need the time (10 ms by the book).
const PAUSE: u32 = 20_000;

impl InitSipi {
    /// Nothing started yet.
    pub const fn new() -> Self {
        Self { page: 0 }
    }
}

impl Default for InitSipi {
    fn default() -> Self {
        Self::new()
    }
}

impl Processors for InitSipi {
    fn bridge(&self) -> Bridge {
        Bridge::Low
    }
    fn code(&mut self, page: u32, start: &Start, into: &mut [u8]) {
        let code = start::from_real_mode(page, start.cr3 as u32, start.rip);
        into[..code.len()].copy_from_slice(&code);
        self.page = page;
    }
    fn start(
        &mut self,
        _: u8,
        apic_id: u32,
        _: &Start,
        _: Pages,
        ipi: SendIpi<'_>,
    ) -> core::result::Result<(), Refusal> {
        let done = ipi(apic_id, INIT) && {
            (0..PAUSE).for_each(|_| core::hint::spin_loop());
            ipi(apic_id, STARTUP | self.page >> 12)
        };
        done.then_some(()).ok_or(Refusal::ProcessorNotStarted)
    }
}
