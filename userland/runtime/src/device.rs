//! Interrupts, host channels, evidence, inspection: what the first process gives to drivers.
#![allow(unsafe_code)] // passes addresses of buffers that live through the call

use crate::call::{call, plain};
use crate::handle::Handle;
use tessera_abi::info::{InterruptInfo, ProcessInfo};
use tessera_abi::kind::Kind;
use tessera_abi::{error::Error, number};

/// A value that the host chose: anything that fits. Whoever uses it says how it was checked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Untrusted<T>(T);

impl<T: Copy> Untrusted<T> {
    pub(crate) fn new(value: T) -> Self {
        Self(value)
    }

    /// The value, if it is one that the caller can live with.
    pub fn checked(self, good: impl FnOnce(&T) -> bool) -> Option<T> {
        good(&self.0).then_some(self.0)
    }

    /// The value, for uses in which no value can do harm.
    pub fn any(self) -> T {
        self.0
    }
}

/// An interrupt.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Interrupt(pub Handle);

impl Interrupt {
    /// A line of the IOAPIC with `number::INTERRUPT_*`, or `INTERRUPT_MESSAGE`. First process only.
    /// Errors: `number::CREATE`.
    pub fn new(source: u64) -> Result<Self, Error> {
        create(Kind::Interrupt, source, 0, 0).map(Self)
    }

    /// Each delivery sets these bits; its vector. Errors: `number::ATTACH`.
    pub fn attach(self, told: Handle, bits: u64) -> Result<u64, Error> {
        let told = told.number().into();
        plain(number::ATTACH, self.0.number().into(), told, bits)
    }

    /// It may come again. Errors: `number::ACKNOWLEDGE`.
    pub fn acknowledge(self) -> Result<(), Error> {
        plain(number::ACKNOWLEDGE, self.0.number().into(), 0, 0).map(|_| ())
    }
}

/// The right to one kind of host call.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Channel(pub Handle);

impl Channel {
    /// `number::CHANNEL_*` over a range. First process only. Errors: `number::CREATE`.
    pub fn new(kind: u64, first: u64, count: u64) -> Result<Self, Error> {
        create(Kind::HostChannel, kind, first, count).map(Self)
    }

    /// Reads `size` bytes (1, 2, 4). Errors: `number::CHANNEL_READ`.
    pub fn read(self, offset: u64, size: u64) -> Result<Untrusted<u32>, Error> {
        let value = plain(number::CHANNEL_READ, self.0.number().into(), offset, size)?;
        Ok(Untrusted(value as u32))
    }

    /// Reads a byte. Errors: `number::CHANNEL_READ`.
    pub fn read_byte(self, offset: u64) -> Result<Untrusted<u8>, Error> {
        self.read(offset, 1).map(|value| Untrusted(value.0 as u8))
    }

    /// Writes `size` bytes (1, 2, 4). Errors: `number::CHANNEL_WRITE`.
    pub fn write(self, offset: u64, size: u64, value: u32) -> Result<(), Error> {
        let arguments = [self.0.number().into(), offset, size, value.into(), 0, 0];
        // SAFETY: no addresses of this program; the kernel lets no channel reach its memory.
        unsafe { call(number::CHANNEL_WRITE, arguments) }.map(|_| ())
    }

    /// The channel's hypercall. Errors: `number::CHANNEL_CALL`.
    pub fn call(self, first: u64, second: u64) -> Result<Untrusted<u64>, Error> {
        plain(number::CHANNEL_CALL, self.0.number().into(), first, second).map(Untrusted)
    }
}

/// The right to be attested.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Evidence(pub Handle);

impl Evidence {
    /// First process only. Errors: `number::CREATE`.
    pub fn new() -> Result<Self, Error> {
        create(Kind::Evidence, 0, 0, 0).map(Self)
    }

    /// What the hardware signs over `data`: `defs::binding::evidence`, and the bytes. Errors:
    /// `number::EVIDENCE`.
    pub fn over<'a>(self, data: &[u8; 64], into: &'a mut [u8]) -> Result<(u32, &'a [u8]), Error> {
        let (at, len) = (into.as_mut_ptr() as u64, into.len() as u64);
        let arguments = [self.0.number().into(), data.as_ptr() as u64, at, len, 0, 0];
        // SAFETY: the kernel reads and writes exactly these two buffers.
        let made = unsafe { call(number::EVIDENCE, arguments) }?;
        let bytes = into.get(..made as u32 as usize);
        Ok(((made >> 32) as u32, bytes.ok_or(Error::TooShort)?))
    }
}

/// The right to read the system's state, and to have memory accepted ahead.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Inspection(pub Handle);

impl Inspection {
    /// First process only. Errors: `number::CREATE`.
    pub fn new() -> Result<Self, Error> {
        create(Kind::Inspection, 0, 0, 0).map(Self)
    }

    /// Has idle processors accept memory until so many pages are; how many are now. Errors: `number::ACCEPT`.
    pub fn accept(self, pages: u64) -> Result<u64, Error> {
        let handle = self.0.number().into();
        // SAFETY: no addresses of this program.
        unsafe { call(number::ACCEPT, [handle, pages, 0, 0, 0, 0]) }
    }

    /// The last bytes of the kernel's log. Errors: `number::INSPECT`.
    pub fn log(self, into: &mut [u8]) -> Result<&[u8], Error> {
        let (at, len) = (into.as_mut_ptr() as u64, into.len() as u64);
        // SAFETY: the kernel writes at most `len` bytes.
        let count = unsafe { self.inspect(number::INSPECT_LOG, 0, at, len) }?;
        into.get(..count as usize).ok_or(Error::TooShort)
    }

    /// A process, by number; `None` where there is none. Errors: `number::INSPECT`.
    pub fn process(self, index: u64) -> Result<Option<ProcessInfo>, Error> {
        let mut info = ProcessInfo::default();
        let (at, len) = (&raw mut info as u64, size_of::<ProcessInfo>() as u64);
        // SAFETY: the kernel writes plain numbers of that length.
        let count = unsafe { self.inspect(number::INSPECT_PROCESS, index, at, len) }?;
        Ok((count == len).then_some(info))
    }

    /// An interrupt, by number; `None` where there is none. Errors: `number::INSPECT`.
    pub fn interrupt(self, index: u64) -> Result<Option<InterruptInfo>, Error> {
        let mut info = InterruptInfo::default();
        let (at, len) = (&raw mut info as u64, size_of::<InterruptInfo>() as u64);
        // SAFETY: as above.
        let count = unsafe { self.inspect(number::INSPECT_INTERRUPT, index, at, len) }?;
        Ok((count == len).then_some(info))
    }

    /// SAFETY: `at` has `len` bytes for plain numbers or bytes.
    unsafe fn inspect(self, what: u64, index: u64, at: u64, len: u64) -> Result<u64, Error> {
        let handle = self.0.number().into();
        // SAFETY: the caller's promise.
        unsafe { call(number::INSPECT, [handle, what, index, at, len, 0]) }
    }
}

fn create(kind: Kind, a: u64, b: u64, c: u64) -> Result<Handle, Error> {
    // SAFETY: no addresses of this program.
    unsafe { call(number::CREATE, [kind as u64, a, b, c, 0, 0]) }
        .map(|number| Handle::from_number(number as u32))
}
