//! The serial monitor: whoever types at the console may look at the system's state. It changes nothing but
//! how long the system stays up. What is typed is the host's word.
#![no_std]
#![no_main]

extern crate alloc;

use alloc::string::String;
use core::fmt::Write;
use core::sync::atomic::{AtomicU64, Ordering};
use tessera_abi::error::Error;
use tessera_abi::message;
use tessera_runtime::console::Console;
use tessera_runtime::device::{Channel, Inspection, Interrupt};
use tessera_runtime::ipc::Message;
use tessera_runtime::service::{self, Client};
use tessera_runtime::{executor, state, system};

/// Registers (National Semiconductor PC16550D, section 8): data, interrupt enable, modem control, line
/// status. The FIFO stays as it is: to switch it would empty it.
const DATA: u64 = 0;
const ENABLE: u64 = 1;
const MODEM: u64 = 4;
const STATUS: u64 = 5;
const RECEIVED: u8 = 1;
/// The way from the chip to a PC's interrupt line.
const OUT2: u32 = 8;
/// Characters of a line; the rest is dropped.
const LINE: usize = 64;
/// Microseconds between two looks where no interrupt comes.
const POLL: u64 = 10_000;
/// Bytes that are read in a row, so that a host that types for ever does not keep the processor.
const BURST: usize = 64;
const PROCESSES: u64 = 64;
const INTERRUPTS: u64 = 33;

tessera_runtime::service!(main);

/// What the supervisor gave.
#[derive(Clone, Copy)]
struct Monitor {
    ports: Channel,
    inspection: Inspection,
    interrupt: Interrupt,
}

fn main(_: u64) -> u64 {
    let monitor = Monitor {
        ports: Channel(service::granted(0, 0)),
        inspection: Inspection(service::granted(0, 1)),
        interrupt: Interrupt(service::granted(0, 2)),
    };
    let nothing = |_, _: &Message| Message::default();
    match executor::run(monitor.listen(), nothing) {
        Ok(Err(error)) | Err(error) => {
            let _unwritable = writeln!(Console, "{error:?}");
            1
        }
        Ok(Ok(())) => 0,
    }
}

/// The line that is being typed. It outlives this process.
struct Line(&'static [AtomicU64]);

impl Line {
    /// What does not fit is dropped.
    fn push(&self, byte: u8) {
        let len = self.0[0].load(Ordering::Relaxed) as usize;
        if len < LINE {
            self.0[1 + len].store(byte.into(), Ordering::Relaxed);
            self.0[0].store(len as u64 + 1, Ordering::Release);
        }
    }

    /// The whole line; the next one begins.
    fn take(&self) -> String {
        let len = self.0[0].swap(0, Ordering::AcqRel) as usize;
        let bytes = self.0[1..].iter().take(len.min(LINE));
        let plain = bytes.map(|byte| char::from(byte.load(Ordering::Relaxed) as u8));
        plain.collect()
    }
}

impl Monitor {
    /// For ever: reads what is typed, and answers line by line. Errors: those of the calls.
    async fn listen(self) -> Result<(), Error> {
        let told = self.interrupt.attach(executor::notification()?, 1).is_ok();
        self.ports.write(MODEM, 1, 3 | OUT2)?;
        self.ports.write(ENABLE, 1, u32::from(told))?;
        let line = Line(state::words(1));
        loop {
            for _ in 0..BURST {
                let Some(byte) = self.typed()? else { break };
                self.take(byte, &line)?;
            }
            match told {
                true => {
                    self.interrupt.acknowledge()?;
                    executor::bits(1).await;
                }
                false => executor::after(POLL).await,
            }
        }
    }

    /// A byte that waits.
    fn typed(self) -> Result<Option<u8>, Error> {
        // A port that nobody has reads as ones.
        let status = self.ports.read_byte(STATUS)?;
        match status.checked(|status| *status != 0xFF && status & RECEIVED != 0) {
            Some(_) => self.ports.read_byte(DATA).map(|byte| Some(byte.any())),
            None => Ok(None),
        }
    }

    /// The first byte of a line keeps the system up, until `quit`.
    fn take(self, byte: u8, line: &Line) -> Result<(), Error> {
        match byte {
            b'\n' | b'\r' => return self.answer(line.take().trim()),
            b' '..=b'~' => line.push(byte),
            _ => {}
        }
        hold(1)
    }

    fn answer(self, line: &str) -> Result<(), Error> {
        let known = COMMANDS.iter().find(|(name, ..)| *name == line);
        match known {
            Some((_, _, run)) => run(self),
            None if line.is_empty() => {
                let _unwritable = writeln!(Console, "type `help`; `quit` lets the system end");
                hold(1)
            }
            None => {
                let _unwritable = writeln!(Console, "no command `{line}`; type `help`");
                hold(1)
            }
        }
    }

    fn processes(self) -> Result<(), Error> {
        for number in 0..PROCESSES {
            let Some(seen) = self.inspection.process(number)? else {
                continue;
            };
            let name = match number {
                0 => "init",
                _ => text(&seen.name),
            };
            let usage = seen.usage;
            let _unwritable = writeln!(
                Console,
                "ps: {number} {name}: {} threads, {} handles, {} of {} pages, status {:#x}",
                usage.threads, usage.handles, usage.pages, usage.quota, usage.status
            );
        }
        Ok(())
    }

    fn memory(self) -> Result<(), Error> {
        let info = system::info()?;
        let shared = info.pages_shared;
        let _unwritable = writeln!(
            Console,
            "mem: {} pages: {} private, {shared} shared, {} unaccepted",
            info.pages_total,
            info.pages_accepted.saturating_sub(shared),
            info.pages_total.saturating_sub(info.pages_accepted)
        );
        Ok(())
    }

    fn interrupts(self) -> Result<(), Error> {
        let ticks = system::info()?.ticks;
        let unasked = self.inspection.interrupt(0)?.unwrap_or_default().count;
        let _unwritable = writeln!(Console, "irq: {ticks} of the timer, {unasked} unasked");
        for number in 1..INTERRUPTS {
            if let Some(seen) = self.inspection.interrupt(number)? {
                let (line, count, waits) = (number - 1, seen.count, seen.waits);
                let _unwritable = writeln!(
                    Console,
                    "irq: line {line} vector {:#x}: {count}, {waits} not acknowledged",
                    seen.vector
                );
            }
        }
        Ok(())
    }

    fn log(self) -> Result<(), Error> {
        let mut room = [0; 2048];
        let log = self.inspection.log(&mut room)?;
        for line in log
            .split(|byte| *byte == b'\n')
            .filter(|line| !line.is_empty())
        {
            let _unwritable = writeln!(Console, "log: {}", text(line));
        }
        Ok(())
    }

    fn services(self) -> Result<(), Error> {
        let mut supervisor = Client::new(service::SUPERVISOR);
        for number in 0.. {
            let mut words = [0; message::WORDS];
            words[0] = number;
            let answer = supervisor.call(service::DESCRIBE, words)?;
            let [a, b, c, starts, failures, state, ..] = answer.words;
            if a == u64::MAX {
                break;
            }
            let state = match state {
                service::state::WAITS => "waits",
                service::state::RUNS => "runs",
                service::state::DONE => "done",
                _ => "failed",
            };
            let name = [a, b, c].map(u64::to_le_bytes);
            let _unwritable = writeln!(
                Console,
                "services: {}: {state}, {starts} starts, {failures} failures in a row",
                text(name.as_flattened())
            );
        }
        Ok(())
    }

    fn help(self) -> Result<(), Error> {
        for (name, what, _) in COMMANDS {
            let _unwritable = writeln!(Console, "help: {name}: {what}");
        }
        Ok(())
    }

    fn quit(self) -> Result<(), Error> {
        let _unwritable = writeln!(Console, "quit: the system ends when its tasks are done");
        hold(0)
    }
}

type Command = (&'static str, &'static str, fn(Monitor) -> Result<(), Error>);

static COMMANDS: [Command; 7] = [
    ("help", "the commands", Monitor::help),
    ("ps", "processes and what they use", Monitor::processes),
    ("mem", "pages of memory", Monitor::memory),
    ("irq", "interrupts", Monitor::interrupts),
    ("log", "the last lines of the kernel", Monitor::log),
    ("services", "what became of the services", Monitor::services),
    ("quit", "lets the system end", Monitor::quit),
];

/// Keeps the system up, or no longer. Errors: those of the call.
fn hold(yes: u64) -> Result<(), Error> {
    Client::new(service::SUPERVISOR)
        .ask(service::HOLD, yes)
        .map(|_| ())
}

/// Bytes as text, up to the first zero.
fn text(bytes: &[u8]) -> &str {
    let len = bytes.iter().position(|byte| *byte == 0);
    core::str::from_utf8(&bytes[..len.unwrap_or(bytes.len())]).unwrap_or("?")
}
