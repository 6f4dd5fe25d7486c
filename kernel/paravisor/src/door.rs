//! The way out: a GHCB termination request, or ReportFatalError.

use crate::context::{Paravisor, own_mode};
use core::fmt::Write;
use tessera_defs::mode::Mode;
use tessera_defs::port::COM1;
use tessera_defs::refusal::Refusal;
use tessera_hw::exit;
use tessera_isolation::strategy::traits::HostCalls;
use tessera_protocol::error::{Error, GuestFault};
use tessera_protocol::exception::event::NotServed;
use tessera_protocol::insn::Refused;

/// Says which door is the architectural one.
pub fn install(mode: Mode) {
    exit::set_mode(own_mode(mode));
}

/// The guest did what is not served: a line on the console says what and where, then it stops.
pub fn not_served(paravisor: &mut Paravisor<'_>, why: NotServed) -> ! {
    let (what, value) = match why {
        NotServed::Unknown(code) => ("exit", code),
        NotServed::PageNotValidated(gpa) => ("page", gpa),
        NotServed::StringIo => ("string I/O", 0),
        NotServed::Instruction(Refused::Opcode(opcode)) => {
            ("instruction on a device", opcode.into())
        }
        NotServed::Instruction(_) => ("instruction on a device", 0),
        NotServed::Mismatch(_) => ("event", 0),
        NotServed::Protocol(Error::Guest(GuestFault::BadAddress(gpa))) => ("device at", gpa),
        NotServed::Protocol(Error::Guest(GuestFault::BadValue(value))) => ("value", value),
        NotServed::Protocol(_) => ("request", 0),
    };
    say(paravisor, what, value);
    refuse(Refusal::LowerExitInvalid)
}

/// `tessera: paravisor: WHAT VALUE at RIP` on the first serial port.
pub fn say(paravisor: &mut Paravisor<'_>, what: &str, value: u64) {
    let rip = paravisor.lower.registers().rip;
    let mut line = Line(&mut *paravisor.host);
    // Who cannot be told is not told.
    let _ = writeln!(line, "\ntessera: paravisor: {what} {value:#x} at {rip:#x}");
}

struct Line<'a>(&'a mut dyn HostCalls);

impl Write for Line<'_> {
    fn write_str(&mut self, text: &str) -> core::fmt::Result {
        let mut bytes = text.bytes();
        bytes
            .try_for_each(|byte| self.0.io_out(COM1, 1, byte.into()))
            .map_err(|_| core::fmt::Error)
    }
}

/// Stops the whole guest with a named reason.
pub fn refuse(refusal: Refusal) -> ! {
    exit::fatal(refusal.code())
}
