//! The serial console and `log`, over the host-call strategy.

use crate::boot::Boot;
use crate::host;
use core::fmt::{self, Write};
use tessera_defs::port::COM1;
use tessera_handoff::command_line::Level;
use tessera_hw::protect;
use tessera_isolation::names::strategies;

/// Bytes go out one by one; a host that does not take them loses them.
struct Serial;

impl Write for Serial {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        let sent = host::with(|host| {
            text.bytes()
                .try_for_each(|byte| host.io_out(COM1, 1, byte.into()))
        });
        if matches!(sent, Some(Ok(()))) {
            Ok(())
        } else {
            Err(fmt::Error)
        }
    }
}

struct Logger;

impl log::Log for Logger {
    fn enabled(&self, _: &log::Metadata<'_>) -> bool {
        true
    }
    fn log(&self, record: &log::Record<'_>) {
        let mark = match record.level() {
            log::Level::Error => "error: ",
            log::Level::Warn => "warn: ",
            log::Level::Info => "",
            log::Level::Debug => "debug: ",
            log::Level::Trace => "trace: ",
        };
        emergency(format_args!("tessera: {mark}{}\n", record.args()));
    }
    fn flush(&self) {}
}

/// Connects `log` to the console, as loud as the host asks for.
pub fn install(boot: &Boot) {
    static LOGGER: Logger = Logger;
    if log::set_logger(&LOGGER).is_ok() {
        log::set_max_level(match Level::from_u32(boot.handoff.log_level) {
            Level::Off => log::LevelFilter::Off,
            Level::Error => log::LevelFilter::Error,
            Level::Warn => log::LevelFilter::Warn,
            Level::Info => log::LevelFilter::Info,
            Level::Debug => log::LevelFilter::Debug,
            Level::Trace => log::LevelFilter::Trace,
        });
    }
}

/// Writes at every log level, if the console can be written; a lost line is not worth a second
/// failure.
pub fn emergency(text: fmt::Arguments<'_>) {
    let _lost = Serial.write_fmt(text);
}

/// Text of a user process.
pub fn user_text(text: &str) {
    let _lost = Serial.write_str(text);
}

/// What this boot is, in the form that the matrix reads.
pub fn banner(boot: &Boot) {
    let profile = boot.profile.name();
    emergency(format_args!(
        "tessera: mode={} profile={profile} strategies=",
        boot.mode.name()
    ));
    for (n, name) in strategies(boot.mode, boot.profile).iter().enumerate() {
        emergency(format_args!("{}{name}", if n == 0 { "" } else { "," }));
    }
    emergency(format_args!(" protections="));
    for (n, name) in protect::names().enumerate() {
        emergency(format_args!("{}{name}", if n == 0 { "" } else { "," }));
    }
    emergency(format_args!("\n"));
    let demo = boot.handoff.launch.flags & tessera_handoff::launch::FLAG_DEMO != 0;
    log::info!(
        "policy={}",
        if demo {
            "demo (not for production)"
        } else {
            "owner's"
        }
    );
}
