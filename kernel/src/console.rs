//! The serial console and `log`, over the host-call strategy.
//!
//! Whose a line is can be seen: lines of the kernel and of the first process begin as they like, those
//! of every other process with its name in brackets. A line that somebody else left open ends first.

use crate::boot::Boot;
use crate::process::FIRST;
use crate::{host, processors};
use core::fmt::{self, Write};
use core::sync::atomic::{AtomicU16, AtomicU32, Ordering};
use spin::Mutex;
use tessera_defs::port::COM1;
use tessera_handoff::command_line::Level;
use tessera_hw::protect;
use tessera_isolation::names::strategies;
use tessera_objects::turn::{FREE, Lock};

/// Bytes go out one by one; a host that does not take them loses them.
struct Serial;

impl Write for Serial {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        // A line that comes while the log is read is not worth a wait.
        if let Some(mut ring) = LOG.try_lock() {
            ring.keep(text.as_bytes());
        }
        send(text.bytes())
    }
}

fn send(bytes: impl Iterator<Item = u8>) -> fmt::Result {
    let mut bytes = bytes;
    let sent = host::with(|host| bytes.try_for_each(|byte| host.io_out(COM1, 1, byte.into())));
    match sent {
        Some(Ok(())) => Ok(()),
        _ => Err(fmt::Error),
    }
}

/// Who wrote last, and whether the line is open: `KERNEL` or the number of a process, times two.
static LINE: AtomicU16 = AtomicU16::new(KERNEL * 2);
const KERNEL: u16 = 0x100;

/// Ends a line that somebody else left open; whether the writer's own is.
fn take_line(writer: u16) -> bool {
    let (last, open) = (
        LINE.load(Ordering::Relaxed) / 2,
        LINE.load(Ordering::Relaxed) & 1 == 1,
    );
    if open && last != writer {
        let _lost = send([b'\n'].into_iter());
    }
    open && last == writer
}

fn leave_line(writer: u16, open: bool) {
    LINE.store(writer * 2 + u16::from(open), Ordering::Relaxed);
}

/// The processor that writes. A trap of that one writes into its line; nobody waits for ever for one
/// that does not come to its end.
static WRITER: Lock<AtomicU32> = Lock(AtomicU32::new(FREE));
const PATIENCE: u32 = 1 << 24;

/// Writes a line while no other processor does.
fn alone(write: impl FnOnce()) {
    let own = processors::number().into();
    let mut left = PATIENCE;
    let mut taken = WRITER.try_take(own);
    while !taken && left != 0 && WRITER.0.load(Ordering::Relaxed) != own {
        core::hint::spin_loop();
        left -= 1;
        taken = WRITER.try_take(own);
    }
    write();
    if taken {
        WRITER.give();
    }
}

/// Bytes of the kernel's log that are kept.
pub const RING: usize = 4096;
static LOG: Mutex<Ring> = Mutex::new(Ring {
    bytes: [0; RING],
    total: 0,
});

/// The last bytes of the log.
struct Ring {
    bytes: [u8; RING],
    total: usize,
}

impl Ring {
    fn keep(&mut self, text: &[u8]) {
        let mut rest = text;
        while !rest.is_empty() {
            let place = &mut self.bytes[self.total % RING..];
            let count = rest.len().min(place.len());
            place[..count].copy_from_slice(&rest[..count]);
            self.total += count;
            rest = &rest[count..];
        }
    }
}

/// The last bytes of the kernel's log, oldest first.
pub fn log(into: &mut [u8; RING]) -> &[u8] {
    let ring = LOG.lock();
    let count = ring.total.min(RING);
    let first = ring.total - count;
    for (at, byte) in into.iter_mut().take(count).enumerate() {
        *byte = ring.bytes[(first + at) % RING];
    }
    &into[..count]
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
    alone(|| {
        take_line(KERNEL);
        let _lost = Serial.write_fmt(text);
        leave_line(KERNEL, false);
    });
}

/// Text of process `space`: its name before each line, and `?` for control characters.
pub fn user_text(space: u8, name: &[u8; 16], text: &str) {
    alone(|| user_lines(space, name, text));
}

fn user_lines(space: u8, name: &[u8; 16], text: &str) {
    let mut open = take_line(space.into());
    for line in text.split_inclusive('\n') {
        if !open && space != FIRST {
            let name = name.iter().copied().take_while(|byte| *byte != 0);
            let _lost = send([b'['].into_iter().chain(name).chain(*b"] "));
        }
        let shown = |byte: u8| match byte {
            b'\n' | b' '..=0x7E | 0x80.. => byte,
            _ => b'?',
        };
        let _lost = send(line.bytes().map(shown));
        open = !line.ends_with('\n');
    }
    leave_line(space.into(), open);
}

/// What this boot is, in the form that the matrix reads.
pub fn banner(boot: &Boot, clock: &str) {
    let profile = boot.profile.name();
    emergency(format_args!(
        "tessera: mode={} profile={profile} strategies=",
        boot.mode.name()
    ));
    for name in strategies(boot.mode, boot.profile) {
        emergency(format_args!("{name},"));
    }
    emergency(format_args!("{clock} protections="));
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
