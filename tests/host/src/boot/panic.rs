//! A panic of the host is a fault of the host, and says so in the report.

use super::{instr, serial};
use core::fmt::Write;

/// Leaves QEMU: isa-debug-exit turns a written 0 into status 1, 1 into status 3.
pub fn leave(code: u8) -> ! {
    loop {
        instr::out8(0xF4, code);
    }
}

/// Ends the run because the host itself cannot go on.
pub fn fail(what: &dyn core::fmt::Display) -> ! {
    let _ = writeln!(
        serial::Report,
        "{{\"event\":\"host-error\",\"error\":\"{what}\"}}"
    );
    leave(1)
}

#[panic_handler]
fn panic(info: &core::panic::PanicInfo<'_>) -> ! {
    let (file, line) = info.location().map_or(("", 0), |at| (at.file(), at.line()));
    let _ = writeln!(
        serial::Report,
        "{{\"event\":\"host-error\",\"error\":\"host panic at {file}:{line}: {}\"}}",
        info.message()
    );
    leave(1)
}
