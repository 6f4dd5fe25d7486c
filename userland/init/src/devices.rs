//! A driver in small: the serial port's interrupt, evidence, a hypercall, device memory. What a mode
//! cannot give must fail as documented.

use core::fmt::Write;
use tessera_abi::error::Error;
use tessera_abi::info::InterruptInfo;
use tessera_abi::number::*;
use tessera_defs::hyperv::HVCALL_NOTIFY_LONG_SPIN_WAIT;
use tessera_defs::mode::{HostProfile, Mode};
use tessera_defs::port::{COM1, TEST_MESSAGES, TEST_MESSAGES_ID};
use tessera_runtime::console::Console;
use tessera_runtime::device::{Channel, Evidence, Inspection, Interrupt};
use tessera_runtime::handle::Handle;
use tessera_runtime::ipc::{self, Message, Received};
use tessera_runtime::{process, system};

/// Line of COM1, and its registers (National Semiconductor PC16550D, section 8).
const LINE: u64 = 4;
const REGISTERS: u64 = 8;
const ENABLE: u64 = 1;
const CAUSE: u64 = 2;
const MODEM: u64 = 4;
/// Enable, and cause, of "the transmitter is empty"; a PC's way from the chip to the line.
const EMPTY: u8 = 2;
const OUT2: u32 = 8;
/// Vector of interrupt 1, which is line 0; lines of the IOAPIC.
const FIRST_VECTOR: u64 = 0x50;
const LINES: u64 = 24;
/// How long a host may take, in microseconds: for ever, almost.
const PATIENCE: u32 = 100_000_000;
/// Where a PC has its HPET, if it has one.
const HPET: u64 = 0xFED0_0000;

type Test = fn() -> Result<bool, Error>;

/// Runs every test; how many failed.
pub fn run() -> u64 {
    let before = process::usage(Handle::NONE);
    let tests: [(&str, Test); 5] = [
        ("an interrupt", interrupt),
        ("an interrupt message", message),
        ("evidence", evidence),
        ("a hypercall", hypercall),
        ("device memory", memory),
    ];
    let mut failed = 0;
    for (name, test) in tests {
        let result = test();
        let good = result == Ok(true) && process::usage(Handle::NONE) == before;
        if !good {
            let _unwritable = writeln!(Console, "init: check failed: {name}: {result:?}");
        }
        failed += u64::from(!good);
    }
    failed
}

fn below_paravisor() -> Result<bool, Error> {
    let mode = system::info()?.mode;
    Ok([Mode::SnpParavisor, Mode::TdxParavisor]
        .map(|mode| mode as u32)
        .contains(&mode))
}

/// Whether the bits come.
fn told(notification: Handle, timeout: u32) -> bool {
    ipc::receive(notification, &mut Message::default(), timeout) == Ok(Received::Notified(4))
}

fn interrupt() -> Result<bool, Error> {
    let made = Interrupt::new(LINE | INTERRUPT_LEVEL);
    let lines = made != Err(Error::NotCreatable);
    // Whether it must be so is for the matrix to judge, which knows what the host claims.
    let word = if lines { "come" } else { "are not there" };
    let _unwritable = writeln!(Console, "init: interrupt lines {word}");
    if !lines {
        return Ok(true);
    }
    let interrupt = made?;
    let ports = Channel::new(CHANNEL_PORT, COM1.into(), REGISTERS)?;
    let inspection = Inspection::new()?;
    let notification = Handle::notification()?;
    let mut good = Interrupt::new(LINE) == Err(Error::Busy);
    let dropped = inspection.interrupt(0)?;
    let vector = interrupt.attach(notification, 4)?;
    good &= vector == FIRST_VECTOR + LINE;
    let modem = ports.read(MODEM, 1)?.any();
    ports.write(MODEM, 1, modem | OUT2)?;
    ports.write(ENABLE, 1, EMPTY.into())?;
    good &= told(notification, PATIENCE);
    // The line is still active: it comes again when it is acknowledged, and not before.
    good &= !told(notification, 3_000);
    interrupt.acknowledge()?;
    good &= told(notification, PATIENCE);
    let cause = ports.read_byte(CAUSE)?.any();
    good &= cause & 0xF == EMPTY;
    ports.write(ENABLE, 1, 0)?;
    interrupt.acknowledge()?;
    let more = more_than_asked(inspection, LINE + 1, told(notification, 3_000))?;
    let seen = inspection.interrupt(LINE + 1)?;
    good &= more && seen.is_some_and(|seen| u64::from(seen.vector) == vector);
    // A line that nobody acknowledged is masked: it does not come only to be dropped.
    good &= unasked(inspection, dropped, 0)?;
    for handle in [interrupt.0, ports.0, inspection.0, notification] {
        handle.close()?;
    }
    Ok(good)
}

/// Whether at least `more` interrupts were dropped since `before`. Those above come from a host that sends
/// what nobody asked for: whether it may is for the matrix to judge.
fn unasked(
    inspection: Inspection,
    before: Option<InterruptInfo>,
    more: u64,
) -> Result<bool, Error> {
    let [before, now] = [before, inspection.interrupt(0)?].map(|seen| seen.map(|seen| seen.count));
    let (Some(before), Some(now)) = (before, now) else {
        return Ok(false);
    };
    let came = now - before;
    if came > more {
        let _unwritable = writeln!(Console, "init: unasked interrupts: {}", came - more);
    }
    Ok(came >= more)
}

/// Whether an interrupt came twice, as it was asked for, and once more at most where `again`. That once is the
/// host's, which may name any vector: the matrix judges it, as above.
fn more_than_asked(inspection: Inspection, number: u64, again: bool) -> Result<bool, Error> {
    let count = inspection.interrupt(number)?.map(|seen| seen.count);
    if again {
        let _unwritable = writeln!(Console, "init: unasked interrupts: 1");
    }
    Ok(count == Some(2 + u64::from(again)))
}

/// Messages of a device of the test host: one that somebody waits for, one that comes too soon, and some
/// that are nobody's.
fn message() -> Result<bool, Error> {
    let device = Channel::new(CHANNEL_PORT, TEST_MESSAGES.into(), 4)?;
    let made = match device.read(0, 4)?.any() == TEST_MESSAGES_ID {
        true => Interrupt::new(INTERRUPT_MESSAGE),
        false => Err(Error::NotCreatable),
    };
    let Ok(interrupt) = made else {
        device.0.close()?;
        return Ok(made == Err(Error::NotCreatable));
    };
    let inspection = Inspection::new()?;
    let notification = Handle::notification()?;
    let vector = interrupt.attach(notification, 4)?;
    let send = |vector: u64| device.write(0, 4, vector as u32);
    let mut good = (FIRST_VECTOR + LINES..256).contains(&vector);
    send(vector)?;
    good &= told(notification, PATIENCE);
    let dropped = inspection.interrupt(0)?;
    send(vector)?;
    good &= !told(notification, 3_000) && unasked(inspection, dropped, 1)?;
    interrupt.acknowledge()?;
    send(vector)?;
    good &= told(notification, PATIENCE);
    interrupt.acknowledge()?;
    let number = vector - FIRST_VECTOR + 1;
    good &= more_than_asked(inspection, number, told(notification, 3_000))?;
    good &= inspection
        .interrupt(number)?
        .is_some_and(|seen| seen.waits == 0);
    // Nobody waits for the first any more; nobody has the second; the third is no interrupt's.
    interrupt.attach(Handle::NONE, 0)?;
    let dropped = inspection.interrupt(0)?;
    for vector in [vector, vector + 1, 0x90] {
        send(vector)?;
    }
    // A paravisor passes on no vector that the kernel did not ask it for.
    let dropped_here = if below_paravisor()? { 2 } else { 3 };
    good &= !told(notification, 3_000) && unasked(inspection, dropped, dropped_here)?;
    for handle in [interrupt.0, device.0, inspection.0, notification] {
        handle.close()?;
    }
    let _unwritable = writeln!(Console, "init: interrupt messages come");
    Ok(good)
}

fn evidence() -> Result<bool, Error> {
    let evidence = Evidence::new()?;
    let mut room = [0; EVIDENCE_MAX];
    let short = evidence.over(&[7; 64], &mut room[..16]).map(|_| ());
    let made = evidence.over(&[7; 64], &mut room);
    let isolated = system::info()?.mode != Mode::None as u32;
    let good = match made {
        Err(Error::Unattested) => !isolated && short == Err(Error::Unattested),
        Ok((kind, bytes)) => {
            isolated && kind != 0 && bytes.len() > 512 && short == Err(Error::TooShort)
        }
        Err(_) => false,
    };
    evidence.0.close()?;
    Ok(good)
}

fn hypercall() -> Result<bool, Error> {
    let code = HVCALL_NOTIFY_LONG_SPIN_WAIT.into();
    let info = system::info()?;
    let offered = info.profile == HostProfile::HyperV as u32;
    match Channel::new(CHANNEL_HYPERCALL, code, 1) {
        Err(Error::NotCreatable) => Ok(!offered),
        made => {
            let channel = made?;
            let result = channel.call(1, 0)?.checked(|result| *result == 0);
            let wrong = channel.read(0, 1) == Err(Error::BadArgument);
            channel.0.close()?;
            Ok(offered && wrong && result == Some(0))
        }
    }
}

/// Where there are interrupt lines there are devices in memory, too.
fn memory() -> Result<bool, Error> {
    match Channel::new(CHANNEL_MEMORY, HPET, 1024) {
        Err(Error::NotCreatable) => Ok(Interrupt::new(LINE) == Err(Error::NotCreatable)),
        made => {
            let channel = made?;
            // Whether there is one, and what it says, is the host's business.
            let answer = channel.read(0, 4);
            let good = matches!(answer, Ok(_) | Err(Error::HostRefused));
            let unaligned = channel.read(2, 4) == Err(Error::BadArgument);
            channel.0.close()?;
            Ok(good && unaligned)
        }
    }
}
