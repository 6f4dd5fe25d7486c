//! Devices in the lower guest's memory: the IOAPIC, and the local APIC in xAPIC mode. Both stand
//! in private memory where no page is. Lines come from the host's IOAPIC, whose pins follow the
//! guest's, each with a vector of the paravisor's own.

use crate::context::Paravisor;
use crate::grant::image_page_is_guests;
use crate::traps::{self, LINES};
use tessera_objects::apic::io::{self as io_apic, PINS, Pin};
use tessera_objects::apic::local::base;
use tessera_protocol::error::{Error, GuestFault, HostFault, Result};

const PAGE: u64 = 4096;

/// Whether a device stands at `gpa`: one of the paravisor's in private memory, or in shared memory of the host's,
/// where no RAM is.
pub fn stands_at(paravisor: &Paravisor<'_>, gpa: u64) -> bool {
    if let Some(gpa) = paravisor.shared_gpa(gpa) {
        return !paravisor.partition.lock().in_ram(gpa) && !image_page_is_guests(gpa);
    }
    match gpa & !(PAGE - 1) {
        io_apic::PAGE => true,
        base::PAGE => paravisor.apic.is_xapic(),
        _ => false,
    }
}

/// Reads `size` bytes. Shared device memory is the host's. Errors: nothing stands there.
pub fn read(paravisor: &mut Paravisor<'_>, gpa: u64, size: u8) -> Result<u64> {
    if let Some(gpa) = paravisor.shared_gpa(gpa) {
        return absent(paravisor.host.mmio_read(gpa, size), u64::MAX);
    }
    if !stands_at(paravisor, gpa) {
        return Err(Error::Guest(GuestFault::BadAddress(gpa)));
    }
    let offset = gpa % PAGE;
    let register = match gpa & !(PAGE - 1) {
        io_apic::PAGE => paravisor.partition.lock().io_apic.read(offset & !3).into(),
        // What no register is reads as zero, without an error that this model would show.
        _ => paravisor.apic_read(offset as u32 / 16).unwrap_or(0),
    };
    Ok(register >> (offset % 4 * 8) & u64::MAX >> (64 - 8 * u32::from(size.clamp(1, 8))))
}

/// What the host refuses is a bus without a device, where an access comes to `nothing`.
fn absent<T>(done: Result<T>, nothing: T) -> Result<T> {
    match done {
        Err(Error::Host(HostFault::Refused { .. })) => Ok(nothing),
        done => done,
    }
}

/// Writes; registers take whole words.
pub fn write(paravisor: &mut Paravisor<'_>, gpa: u64, size: u8, value: u64) -> Result<()> {
    if let Some(gpa) = paravisor.shared_gpa(gpa) {
        return absent(paravisor.host.mmio_write(gpa, size, value), ());
    }
    if !stands_at(paravisor, gpa) || size != 4 || !gpa.is_multiple_of(4) {
        return Err(Error::Guest(GuestFault::BadAddress(gpa)));
    }
    let offset = gpa % PAGE;
    match gpa & !(PAGE - 1) {
        io_apic::PAGE => {
            let mut partition = paravisor.partition.lock();
            let changed = partition.io_apic.write(offset, value as u32);
            let changed = changed.map(|pin| (pin, partition.io_apic.pin(pin)));
            drop(partition);
            changed.map_or(Ok(()), |(pin, wanted)| program(paravisor, pin, wanted))
        }
        _ => match paravisor.apic_write(offset as u32 / 16, value) {
            // No register: lost, as on a processor, which notes it in ESR.
            Err(Error::Host(_)) => Ok(()),
            other => other,
        },
    }
}

/// Gives the host's pin what the guest wants of its own. The host's index register is everybody's, so
/// the partition's lock, which nobody may hold here, is held meanwhile.
fn program(paravisor: &mut Paravisor<'_>, pin: usize, wanted: Pin) -> Result<()> {
    let bit = |set: bool, at: u32| u64::from(set) << at;
    let entry = (u64::from(LINES) + pin as u64)
        | bit(wanted.low, 13)
        | bit(wanted.level, 15)
        | bit(wanted.masked, 16);
    let index = 0x10 + 2 * pin as u64;
    let partition = paravisor.partition;
    let _whole = partition.lock();
    for (index, value) in [(index + 1, 0), (index, entry)] {
        paravisor.host.mmio_write(io_apic::PAGE, 4, index)?;
        paravisor.host.mmio_write(io_apic::PAGE + 0x10, 4, value)?;
    }
    Ok(())
}

/// Takes the lines that became active since the last call to the guest's IOAPIC. A level line is
/// masked at the host until the guest has ended its interrupt.
pub fn take_lines(paravisor: &mut Paravisor<'_>) -> Result<()> {
    let mut lines = traps::lines(paravisor.index);
    while lines != 0 {
        let pin = lines.trailing_zeros() as usize;
        lines &= lines - 1;
        let mut partition = paravisor.partition.lock();
        let programmed = partition.io_apic.pin(pin);
        let message = partition.io_apic.raise(pin);
        drop(partition);
        if programmed.level {
            let masked = Pin {
                masked: true,
                ..programmed
            };
            program(paravisor, pin, masked)?;
        }
        paravisor.end_of_interrupt();
        if let Some(message) = message {
            paravisor.receive(message);
        }
    }
    Ok(())
}

/// A level interrupt of the guest ended: the host's pin may ask again.
pub fn ended(paravisor: &mut Paravisor<'_>, vector: u8) -> Result<()> {
    let mut partition = paravisor.partition.lock();
    let pins = partition.io_apic.end(vector);
    let programmed: [Pin; PINS] = core::array::from_fn(|pin| partition.io_apic.pin(pin));
    drop(partition);
    (0..PINS)
        .filter(|pin| pins >> pin & 1 == 1)
        .try_for_each(|pin| program(paravisor, pin, programmed[pin]))
}
