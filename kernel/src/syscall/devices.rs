//! Interrupts and host channels. What a host answers goes to the process as it is: only the runtime's
//! types say that it is the host's.

use crate::cpu::Kernel;
use crate::{apic, boot, host, interrupts, ioapic, memory, probe, process, timer};
use tessera_abi::{error::Error, kind::Kind, number, rights};
use tessera_defs::hyperv::{HVCALL_NOTIFY_LONG_SPIN_WAIT, HYPERCALL_FAST};
use tessera_objects::system::grant::{Channel, Place};
use tessera_protocol::hyperv;

/// Ports that stay the kernel's: both interrupt controllers with their trigger modes, and reset.
const KEPT_PORTS: [(u64, u64); 4] = [(0x20, 2), (0xA0, 2), (0x4D0, 2), (0xCF9, 1)];
/// Hypercalls that change neither memory nor processors.
const HARMLESS: [u16; 1] = [HVCALL_NOTIFY_LONG_SPIN_WAIT];
/// What a hypercall's result can be.
const RESULT: u64 = (1 << 48) - 1;
const LINE_BITS: u64 = number::INTERRUPT_LEVEL | number::INTERRUPT_LOW | 0xFF;

/// `create` of what only the first process has to give. Its checks come before all others.
#[cold]
#[inline(never)]
pub fn create(kernel: &mut Kernel, kind: Kind, a: u64, b: u64, c: u64) -> Result<u64, Error> {
    if kernel.system.current_space() != process::FIRST {
        return Err(Error::NoRight);
    }
    if kind == Kind::Interrupt {
        return interrupt(kernel, a);
    }
    let range = match kind {
        Kind::HostChannel => channel(a, b, c)?,
        _ => Channel::None,
    };
    kernel.system.create_grant(kind, range).map(u64::from)
}

fn interrupt(kernel: &mut Kernel, source: u64) -> Result<u64, Error> {
    if !timer::started() {
        return Err(Error::NotCreatable);
    }
    if source == number::INTERRUPT_MESSAGE {
        return kernel.system.create_interrupt(0).map(|made| made.0.into());
    }
    let line = source as u8;
    match ioapic::lines() {
        _ if source & !LINE_BITS != 0 => return Err(Error::BadArgument),
        0 => return Err(Error::NotCreatable),
        lines if u32::from(line) >= lines => return Err(Error::BadArgument),
        _ => {}
    }
    let (handle, _) = kernel.system.create_interrupt(line + 1)?;
    let has = |bit| source & bit != 0;
    ioapic::configure(
        line.into(),
        has(number::INTERRUPT_LEVEL),
        has(number::INTERRUPT_LOW),
    );
    Ok(handle.into())
}

fn channel(kind: u64, first: u64, count: u64) -> Result<Channel, Error> {
    let channel = Channel::new(kind, first, count)?;
    let touches = |(start, len): (u64, u64)| first < start + len && start < first + count;
    match channel {
        Channel::Ports { .. } => {
            let kept = KEPT_PORTS.into_iter().chain([(host::soft_off().into(), 2)]);
            if kept.into_iter().any(touches) {
                return Err(Error::BadArgument);
            }
        }
        Channel::Memory { .. } => {
            let kept = touches((apic::XAPIC, 4096)) || ioapic::overlaps(first, count);
            if kept || boot::is_memory(first, count) {
                return Err(Error::BadArgument);
            }
            // Who has an IOAPIC has devices in memory.
            if ioapic::lines() == 0 {
                return Err(Error::NotCreatable);
            }
            memory::map_claim(first, count).ok_or(Error::OutOfMemory)?;
        }
        Channel::Hypercall(code) if !HARMLESS.contains(&code) => return Err(Error::BadArgument),
        Channel::Hypercall(_) if !probe::hypercalls() => return Err(Error::NotCreatable),
        _ => {}
    }
    Ok(channel)
}

pub fn attach(kernel: &mut Kernel, handle: u64, told: u64, bits: u64) -> Result<u64, Error> {
    let index = kernel.system.attach(handle, told, bits)?;
    match told {
        0 => interrupts::end(index),
        _ => interrupts::begin(index),
    }
    Ok(interrupts::vector(index).into())
}

pub fn acknowledge(kernel: &mut Kernel, handle: u64) -> Result<u64, Error> {
    let index = kernel.system.acknowledge(handle)?;
    if kernel.system.attached(index) {
        interrupts::begin(index);
    }
    Ok(0)
}

pub fn read(kernel: &mut Kernel, handle: u64, offset: u64, size: u64) -> Result<u64, Error> {
    let channel = kernel.system.channel(handle, rights::RECEIVE)?;
    let bytes = size as u8;
    let value = match channel.place(offset, size)? {
        Place::Port(port) => host::with(|host| host.io_in(port, bytes).map(u64::from)),
        Place::Memory(gpa) => host::with(|host| host.mmio_read(gpa, bytes)),
    };
    let value = value.and_then(Result::ok).ok_or(Error::HostRefused)?;
    Ok(value & u64::MAX >> (64 - 8 * size))
}

pub fn write(
    kernel: &mut Kernel,
    handle: u64,
    offset: u64,
    size: u64,
    value: u64,
) -> Result<u64, Error> {
    let channel = kernel.system.channel(handle, rights::SEND)?;
    let bytes = size as u8;
    let done = match channel.place(offset, size)? {
        Place::Port(port) => host::with(|host| host.io_out(port, bytes, value as u32)),
        Place::Memory(gpa) => host::with(|host| host.mmio_write(gpa, bytes, value)),
    };
    done.and_then(Result::ok).ok_or(Error::HostRefused)?;
    Ok(0)
}

pub fn call(kernel: &mut Kernel, handle: u64, first: u64, second: u64) -> Result<u64, Error> {
    let Channel::Hypercall(code) = kernel.system.channel(handle, rights::SEND)? else {
        return Err(Error::BadArgument);
    };
    let control = hyperv::control(code, 0) | HYPERCALL_FAST;
    let result = host::with(|host| host.hypercall(control, first, second));
    let result = result.and_then(Result::ok).ok_or(Error::HostRefused)?;
    Ok(result & RESULT)
}
