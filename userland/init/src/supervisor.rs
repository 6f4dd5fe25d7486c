//! Starts the services of the bundle, starts again what ends, and answers their requests.

use crate::grants::Grants;
use core::fmt::Write;
use tessera_abi::error::Error;
use tessera_abi::{message, number, rights};
use tessera_handoff::bundle::{Bundle, MAX_SERVICES, Service, grant, name, restart};
use tessera_handoff::layout::STATE_BASE;
use tessera_runtime::console::Console;
use tessera_runtime::handle::Handle;
use tessera_runtime::ipc::{self, Message, Received};
use tessera_runtime::{loader, process, service, system};

/// The first pause before a service that failed is started again, in microseconds; it doubles with
/// each failure in a row.
const PAUSE: u64 = 1_000;
/// The longest pause.
const LONGEST: u64 = 16_000;

/// Nominal microseconds between two timer interrupts.
const TICK: u64 = 3_200;

/// What is known of one service.
#[derive(Clone, Copy)]
struct Slot {
    /// Its endpoint, which outlives it.
    endpoint: Handle,
    /// Its state's region, which outlives it.
    state: Handle,
    /// What it is granted, which outlives it.
    grants: Grants,
    /// Its process, while it runs.
    space: Handle,
    starts: u64,
    /// Failures in a row.
    failures: u32,
    /// When it is to be started again, by `clock`.
    due: Option<u64>,
    /// How it ended for good.
    end: Option<End>,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum End {
    Well,
    Badly,
}

/// The supervisor.
pub struct Supervisor<'a> {
    bundle: Bundle<'a>,
    slots: [Slot; MAX_SERVICES],
    endpoint: Handle,
    ended: Handle,
    /// Whether timer interrupts come; without, nothing waits.
    timer: bool,
    /// Microseconds by timer interrupts.
    clock: u64,
    /// Somebody keeps the system up.
    held: bool,
}

/// Says that a service panicked, and how. It chose the text: what is no plain character is replaced, so
/// that it stays one line of this process.
fn panicked(name: &str, words: &[u64; message::WORDS]) -> u64 {
    let mut text = words.map(u64::to_le_bytes);
    let text = text.as_flattened_mut();
    let len = text
        .iter()
        .position(|byte| *byte == 0)
        .unwrap_or(text.len());
    for byte in &mut text[..len] {
        *byte = if matches!(byte, b' '..=b'~') {
            *byte
        } else {
            b'?'
        };
    }
    let text = core::str::from_utf8(&text[..len]).unwrap_or_default();
    let _unwritable = writeln!(Console, "init: {name} panicked at {text}");
    0
}

/// What became of the services.
pub struct Outcome {
    /// Those that were given up, or had a task and ended badly.
    pub failed: u64,
    /// Starts of all services.
    pub starts: u64,
}

impl<'a> Supervisor<'a> {
    /// Makes the objects that outlive the services. Errors: those of the calls.
    pub fn new(bundle: Bundle<'a>, timer: bool) -> Result<Self, Error> {
        let ended = Handle::notification()?;
        ended.bind()?;
        let mut slots = [Slot {
            endpoint: Handle::NONE,
            state: Handle::NONE,
            grants: Grants::NONE,
            space: Handle::NONE,
            starts: 0,
            failures: 0,
            due: None,
            end: None,
        }; MAX_SERVICES];
        for (slot, service) in slots.iter_mut().zip(bundle.services()) {
            slot.endpoint = Handle::endpoint()?;
            slot.due = Some(0);
            slot.grants = Grants::new(service)?;
            if service.state != 0 {
                slot.state = process::region(service.state.into(), Handle::NONE)?;
            }
        }
        let endpoint = Handle::endpoint()?;
        Ok(Self {
            bundle,
            slots,
            endpoint,
            ended,
            timer,
            clock: 0,
            held: false,
        })
    }

    /// Runs until every service that has a task has ended. Errors: those of the calls.
    pub fn run(&mut self) -> Result<Outcome, Error> {
        loop {
            // Not what was waited for: whoever is asked all the time never waits.
            self.clock = system::info()?.ticks * TICK;
            self.start_due();
            let services = self.bundle.services();
            let task = |(slot, service): &(&Slot, &Service)| {
                service.restart != restart::ALWAYS && slot.end.is_none()
            };
            if !self.held && !self.slots.iter().zip(services).any(|pair| task(&pair)) {
                return Ok(self.outcome());
            }
            let pause = self.pause();
            let mut request = Message::default();
            match ipc::receive(self.endpoint, &mut request, pause) {
                Ok(Received::Notified(bits)) => self.take_ends(bits),
                Ok(Received::Message(badge)) => {
                    let reply = self.answer(badge, &request);
                    let _gone = ipc::reply(&reply);
                }
                Err(Error::TimedOut) => {}
                Err(error) => return Err(error),
            }
        }
    }

    fn outcome(&self) -> Outcome {
        let bad = |slot: &&Slot| slot.end == Some(End::Badly);
        Outcome {
            failed: self.slots.iter().filter(bad).count() as u64,
            starts: self.slots.iter().map(|slot| slot.starts).sum(),
        }
    }

    /// How long to wait for the next start; 0 for ever.
    fn pause(&self) -> u32 {
        let next = self.slots.iter().filter_map(|slot| slot.due).min();
        next.map_or(0, |due| due.saturating_sub(self.clock).max(1) as u32)
    }

    fn start_due(&mut self) {
        for index in 0..self.bundle.services().len() {
            let after = self.bundle.services()[index].after;
            let running = |n: usize| after >> n & 1 == 0 || self.slots[n].starts != 0;
            let due = self.slots[index]
                .due
                .is_some_and(|due| !self.timer || due <= self.clock);
            if !due || !(0..index).all(running) {
                continue;
            }
            self.slots[index].due = None;
            if let Err(error) = self.start(index) {
                let name = name(&self.bundle.services()[index].name);
                let _unwritable = writeln!(Console, "init: {name} cannot be started: {error:?}");
                self.slots[index].end = Some(End::Badly);
            }
        }
    }

    fn start(&mut self, index: usize) -> Result<(), Error> {
        let service = &self.bundle.services()[index];
        let file = self.bundle.file(service.program as usize);
        let file = file.ok_or(Error::BadArgument)?;
        let name = name(&service.name);
        let space = process::create(service.quota.into(), self.ended, 1 << index, name)?;
        self.slots[index].space = space;
        let (entry, stack) = loader::load(space, file)?;
        if self.slots[index].state != Handle::NONE {
            process::map_into(
                space,
                self.slots[index].state,
                STATE_BASE,
                number::MAP_WRITE,
            )?;
        }
        let badge = index as u64 + 1;
        process::give(space, self.slots[index].endpoint, rights::RECEIVE, 0)?;
        process::give(space, self.endpoint, rights::SEND, badge)?;
        for (n, slot) in self.slots.iter().enumerate() {
            if service.uses >> n & 1 != 0 {
                process::give(space, slot.endpoint, rights::SEND, badge)?;
            }
        }
        self.slots[index].grants.give(space)?;
        self.slots[index].starts += 1;
        let argument = index as u64 | u64::from(service.argument) << 32;
        process::start(space, entry, stack, service.priority, argument)?.close()
    }

    fn take_ends(&mut self, bits: u64) {
        for index in 0..self.bundle.services().len() {
            if bits >> index & 1 != 0 {
                self.take_end(index);
            }
        }
    }

    /// What becomes of a service that ended.
    fn take_end(&mut self, index: usize) {
        let service = &self.bundle.services()[index];
        let slot = &mut self.slots[index];
        let status = process::status(slot.space).unwrap_or(number::STATUS_KILLED);
        // A start within the same wait has made a new one already.
        if status == number::STATUS_RUNS {
            return;
        }
        let _gone = slot.space.close();
        slot.space = Handle::NONE;
        let well = status == number::STATUS_EXITED;
        let failed = !well && status != number::STATUS_KILLED;
        slot.failures = if failed { slot.failures + 1 } else { 0 };
        let given_up = service.limit != 0 && slot.failures >= service.limit;
        let again = match service.restart {
            restart::ALWAYS => !given_up,
            restart::ON_FAILURE => !well && !given_up,
            _ => false,
        };
        if again {
            let pause = PAUSE << (slot.failures.saturating_sub(1)).min(8);
            let pause = if failed { pause.min(LONGEST) } else { 0 };
            slot.due = Some(self.clock + pause);
            return;
        }
        slot.end = Some(if well { End::Well } else { End::Badly });
        self.held &= service.grants & grant::HOLD == 0;
        if !well {
            let name = name(&service.name);
            let _unwritable =
                writeln!(Console, "init: check failed: {name} ended with {status:#x}");
        }
    }

    /// Answers a service.
    fn answer(&mut self, badge: u64, request: &Message) -> Message {
        let wanted = request.words[0];
        if message::label(request.tag) == service::DESCRIBE {
            return self.describe(wanted as usize);
        }
        let from = (badge as usize).checked_sub(1);
        let from = from.and_then(|index| self.bundle.services().get(index));
        let slot = self.slots.get(wanted as usize);
        let answer = match (message::label(request.tag), from, slot) {
            (service::END, Some(from), Some(slot)) if from.ends >> wanted & 1 != 0 => {
                process::kill(slot.space).map_or_else(Error::number, |()| 0)
            }
            (service::END, ..) => Error::NoRight.number(),
            (service::STARTS, Some(_), Some(slot)) => slot.starts,
            (service::HOLD, Some(from), _) if from.grants & grant::HOLD != 0 => {
                self.held = wanted != 0;
                0
            }
            (service::HOLD, ..) => Error::NoRight.number(),
            (service::PANIC, Some(from), _) => panicked(name(&from.name), &request.words),
            _ => Error::BadArgument.number(),
        };
        // A handle that came along is not wanted.
        let _none = Handle::from_number(message::handle(request.tag)).close();
        let mut reply = Message::default();
        reply.words[0] = answer;
        reply
    }

    fn describe(&self, index: usize) -> Message {
        let mut reply = Message::default();
        let Some((slot, service)) = self.slots.get(index).zip(self.bundle.services().get(index))
        else {
            reply.words[0] = u64::MAX;
            return reply;
        };
        for (word, bytes) in reply.words.iter_mut().zip(service.name.as_chunks().0) {
            *word = u64::from_le_bytes(*bytes);
        }
        reply.words[3] = slot.starts;
        reply.words[4] = slot.failures.into();
        reply.words[5] = match slot.end {
            Some(End::Well) => service::state::DONE,
            Some(End::Badly) => service::state::FAILED,
            None if slot.due.is_some() => service::state::WAITS,
            None => service::state::RUNS,
        };
        reply
    }

    /// Ends every service and gives everything back. Errors: those of the calls.
    pub fn close(self) -> Result<(), Error> {
        Handle::NONE.bind()?;
        for slot in &self.slots {
            let own = [slot.space, slot.state, slot.endpoint];
            for handle in own.into_iter().chain(slot.grants.handles()) {
                if handle != Handle::NONE {
                    handle.close()?;
                }
            }
        }
        self.endpoint.close()?;
        self.ended.close()
    }
}
