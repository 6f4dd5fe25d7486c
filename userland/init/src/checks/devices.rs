//! Interrupts, host channels, evidence, inspection.

use super::check::{Check, FREE, KERNEL, OTHERS, Objects, check, report};
use tessera_abi::error::Error::{self, *};
use tessera_abi::kind::Kind;
use tessera_abi::number::*;
use tessera_runtime::device::{Channel, Evidence, Inspection, Interrupt};
use tessera_runtime::handle::Handle;

const INTERRUPT: u64 = Kind::Interrupt as u64;
const CHANNEL: u64 = Kind::HostChannel as u64;
/// A PC's delay port: nobody minds what is written there.
const DELAY: u64 = 0x80;

/// Handles to try things on.
struct Devices {
    ports: u64,
    evidence: u64,
    inspection: u64,
    /// An interrupt for messages; 0 where there is no local APIC.
    message: u64,
    /// Copies without any right, in this order.
    powerless: [u64; 4],
}

impl Devices {
    fn new() -> Result<Self, Error> {
        let number = |handle: Handle| u64::from(handle.number());
        let ports = Channel::new(CHANNEL_PORT, DELAY, 1)?.0;
        let evidence = Evidence::new()?.0;
        let inspection = Inspection::new()?.0;
        let message = match Interrupt::new(INTERRUPT_MESSAGE) {
            Err(NotCreatable) => Handle::NONE,
            made => made?.0,
        };
        let copy = |handle: Handle| match handle {
            Handle::NONE => Ok(0),
            handle => handle.duplicate(0, 0).map(number),
        };
        Ok(Self {
            ports: number(ports),
            evidence: number(evidence),
            inspection: number(inspection),
            message: number(message),
            powerless: [
                copy(ports)?,
                copy(evidence)?,
                copy(inspection)?,
                copy(message)?,
            ],
        })
    }

    fn drop_all(self) -> Result<(), Error> {
        let own = [self.ports, self.evidence, self.inspection, self.message];
        let all = own.iter().chain(&self.powerless);
        all.filter(|handle| **handle != 0)
            .try_for_each(|handle| Handle::from_number(*handle as u32).close())
    }
}

pub fn run(o: &Objects, text: u64) -> u64 {
    let Ok(d) = Devices::new() else { return 1 };
    let mut failed = report(&of_creation());
    failed += report(&of_channels(o, &d));
    failed += report(&of_evidence(o, &d, text));
    failed += report(&of_inspection(o, &d, text));
    if d.message != 0 {
        failed += report(&of_interrupts(o, &d));
    }
    failed + u64::from(d.drop_all().is_err())
}

fn of_creation() -> [Check; 17] {
    let channel =
        |name, kind, first, count| check(name, CREATE, &[CHANNEL, kind, first, count], BadArgument);
    [
        check(
            "a line of no bits",
            CREATE,
            &[INTERRUPT, 1 << 40],
            BadArgument,
        ),
        check(
            "a line and a message",
            CREATE,
            &[INTERRUPT, 1 << 10 | 1],
            BadArgument,
        ),
        channel("a channel of no kind", 0, 0, 1),
        channel("a channel of a fourth kind", 4, 0, 1),
        channel("no ports", CHANNEL_PORT, 0x80, 0),
        channel("ports across the end", CHANNEL_PORT, 0xFFFF, 2),
        channel("too many ports", CHANNEL_PORT, 0x100, 0x101),
        channel("endless ports", CHANNEL_PORT, u64::MAX, u64::MAX),
        channel("ports of the interrupt controller", CHANNEL_PORT, 0x21, 1),
        channel("the port of reset", CHANNEL_PORT, 0xCF8, 4),
        channel("no device memory", CHANNEL_MEMORY, 0xFED0_0000, 0),
        channel("memory as a device", CHANNEL_MEMORY, 0x20_0000, 4096),
        channel("the local APIC", CHANNEL_MEMORY, 0xFEDF_F000, 0x2000),
        channel(
            "too much device memory",
            CHANNEL_MEMORY,
            0xFED0_0000,
            0x1_0001,
        ),
        channel("device memory nowhere", CHANNEL_MEMORY, 1 << 45, 1),
        channel("a hypercall that shares memory", CHANNEL_HYPERCALL, 0xDB, 1),
        channel("two hypercalls", CHANNEL_HYPERCALL, 8, 2),
    ]
}

fn of_channels(o: &Objects, d: &Devices) -> [Check; 13] {
    [
        check(
            "read through nobody",
            CHANNEL_READ,
            &[OTHERS, 0, 1],
            BadHandle,
        ),
        check(
            "read through a region",
            CHANNEL_READ,
            &[o.region, 0, 1],
            WrongKind,
        ),
        check(
            "read without right",
            CHANNEL_READ,
            &[d.powerless[0], 0, 1],
            NoRight,
        ),
        check("read no bytes", CHANNEL_READ, &[d.ports, 0, 0], BadArgument),
        check(
            "read two bytes of one",
            CHANNEL_READ,
            &[d.ports, 0, 2],
            BadArgument,
        ),
        check(
            "read behind the end",
            CHANNEL_READ,
            &[d.ports, 1, 1],
            BadArgument,
        ),
        check(
            "read across all",
            CHANNEL_READ,
            &[d.ports, u64::MAX, 1],
            BadArgument,
        ),
        check(
            "write through nobody",
            CHANNEL_WRITE,
            &[OTHERS, 0, 1, 0],
            BadHandle,
        ),
        check(
            "write without right",
            CHANNEL_WRITE,
            &[d.powerless[0], 0, 1, 0],
            NoRight,
        ),
        check(
            "write eight bytes",
            CHANNEL_WRITE,
            &[d.ports, 0, 8, 0],
            BadArgument,
        ),
        check(
            "a hypercall of nobody",
            CHANNEL_CALL,
            &[OTHERS, 0, 0],
            BadHandle,
        ),
        check(
            "a hypercall without right",
            CHANNEL_CALL,
            &[d.powerless[0], 0, 0],
            NoRight,
        ),
        check(
            "a hypercall by port",
            CHANNEL_CALL,
            &[d.ports, 0, 0],
            BadArgument,
        ),
    ]
}

fn of_evidence(o: &Objects, d: &Devices, text: u64) -> [Check; 7] {
    let all = EVIDENCE_MAX as u64;
    let page = text & !4095;
    [
        check(
            "evidence of nobody",
            EVIDENCE,
            &[OTHERS, page, FREE, all],
            BadHandle,
        ),
        check(
            "evidence of an endpoint",
            EVIDENCE,
            &[o.endpoint, page, FREE, all],
            WrongKind,
        ),
        check(
            "evidence without right",
            EVIDENCE,
            &[d.powerless[1], page, FREE, all],
            NoRight,
        ),
        check(
            "evidence over null",
            EVIDENCE,
            &[d.evidence, 0, FREE, all],
            BadAddress,
        ),
        check(
            "evidence over the kernel",
            EVIDENCE,
            &[d.evidence, KERNEL, FREE, all],
            BadAddress,
        ),
        check(
            "evidence to a hole",
            EVIDENCE,
            &[d.evidence, page, FREE, all],
            BadAddress,
        ),
        check(
            "too much evidence",
            EVIDENCE,
            &[d.evidence, page, FREE, all + 1],
            TooLong,
        ),
    ]
}

fn of_inspection(o: &Objects, d: &Devices, text: u64) -> [Check; 14] {
    let i = d.inspection;
    let (log, process, interrupt) = (INSPECT_LOG, INSPECT_PROCESS, INSPECT_INTERRUPT);
    [
        check("accept by nobody", ACCEPT, &[OTHERS, 1], BadHandle),
        check("accept by a region", ACCEPT, &[o.region, 1], WrongKind),
        check(
            "accept without right",
            ACCEPT,
            &[d.powerless[2], 1],
            NoRight,
        ),
        check(
            "inspect by nobody",
            INSPECT,
            &[OTHERS, log, 0, FREE, 64],
            BadHandle,
        ),
        check(
            "inspect by a region",
            INSPECT,
            &[o.region, log, 0, FREE, 64],
            WrongKind,
        ),
        check(
            "inspect without right",
            INSPECT,
            &[d.powerless[2], log, 0, FREE, 64],
            NoRight,
        ),
        check(
            "inspect nothing",
            INSPECT,
            &[i, 99, 0, FREE, 64],
            BadArgument,
        ),
        check("a second log", INSPECT, &[i, log, 1, FREE, 64], BadArgument),
        check(
            "a process too far",
            INSPECT,
            &[i, process, 1 << 32, FREE, 64],
            BadArgument,
        ),
        check(
            "an interrupt too far",
            INSPECT,
            &[i, interrupt, 1 << 40, FREE, 64],
            BadArgument,
        ),
        check(
            "a process to null",
            INSPECT,
            &[i, process, 0, 0, 64],
            BadAddress,
        ),
        check(
            "a process to read-only memory",
            INSPECT,
            &[i, process, 0, text, 64],
            BadAddress,
        ),
        check(
            "a process to little",
            INSPECT,
            &[i, process, 0, text, 47],
            TooShort,
        ),
        check(
            "an interrupt to little",
            INSPECT,
            &[i, interrupt, 0, text, 15],
            TooShort,
        ),
    ]
}

fn of_interrupts(o: &Objects, d: &Devices) -> [Check; 9] {
    [
        check(
            "attach nobody",
            ATTACH,
            &[OTHERS, o.notification, 1],
            BadHandle,
        ),
        check(
            "attach a region",
            ATTACH,
            &[o.region, o.notification, 1],
            WrongKind,
        ),
        check(
            "attach without right",
            ATTACH,
            &[d.powerless[3], o.notification, 1],
            NoRight,
        ),
        check(
            "attach to nobody",
            ATTACH,
            &[d.message, OTHERS, 1],
            BadHandle,
        ),
        check(
            "attach to an endpoint",
            ATTACH,
            &[d.message, o.endpoint, 1],
            WrongKind,
        ),
        check(
            "attach to what may not be told",
            ATTACH,
            &[d.message, o.powerless[1], 1],
            NoRight,
        ),
        check("acknowledge null", ACKNOWLEDGE, &[0], BadHandle),
        check(
            "acknowledge an endpoint",
            ACKNOWLEDGE,
            &[o.endpoint],
            WrongKind,
        ),
        check(
            "acknowledge without right",
            ACKNOWLEDGE,
            &[d.powerless[3]],
            NoRight,
        ),
    ]
}
