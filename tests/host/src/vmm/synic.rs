//! A virtual processor's synthetic interrupt controller. `timers` are its timers, `pages` what it writes into the
//! guest's pages, `ports` the hypercalls that reach it, `lower` that of a paravisor's guest. Source: TLFS 6.0b, chapters 10 and 11.

pub mod lower;
pub mod pages;
pub mod ports;
pub mod timers;

use self::timers::Timers;
use super::apic::Apic;
use alloc::{collections::VecDeque, vec::Vec};
use tessera_defs::hyperv::synic::*;

/// Enable bit of SCONTROL, SIEFP and SIMP.
const ENABLE: u64 = 1 << 0;
/// Lowest vector of a source (11.8.6).
const FIRST_VECTOR: u8 = 16;
/// Messages of guests that wait at most.
const BUFFERS: usize = 16;

/// A message that waits for its slot.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Message {
    /// Its source.
    pub sint: u8,
    /// Type.
    pub kind: u32,
    /// Sender: a port, or 0.
    pub origin: u64,
    /// Payload, `PAYLOAD` bytes at most.
    pub payload: Vec<u8>,
    /// The timer whose message it is.
    pub timer: Option<u8>,
}

/// Where a controller's interrupts go.
pub trait Interrupts {
    /// Requests one.
    fn request(&mut self, vector: u8);
    /// These vectors, and no others, end as they are taken.
    fn end_at_once(&mut self, vectors: &mut dyn Iterator<Item = u8>);
}

impl Interrupts for Apic {
    fn request(&mut self, vector: u8) {
        self.request(vector);
    }
    fn end_at_once(&mut self, vectors: &mut dyn Iterator<Item = u8>) {
        self.end_at_once(vectors);
    }
}

/// The registers and what waits.
#[derive(Clone, Debug)]
pub struct Synic {
    control: u64,
    event_page: u64,
    message_page: u64,
    sints: [u64; SOURCES],
    messages: VecDeque<Message>,
    events: Vec<(u8, u16)>,
    /// Something happened after which the hypervisor looks for messages (11.2).
    look: bool,
    /// Its timers.
    pub timers: Timers,
}

impl Synic {
    /// As a processor starts: disabled, every source masked.
    pub fn new() -> Self {
        Self {
            control: 0,
            event_page: 0,
            message_page: 0,
            sints: [SINT_MASKED; SOURCES],
            messages: VecDeque::new(),
            events: Vec::new(),
            look: false,
            timers: Timers::default(),
        }
    }

    /// RDMSR. `None`: none of its registers.
    pub fn read(&self, msr: u32) -> Option<u64> {
        Some(match msr {
            MSR_SCONTROL => self.control,
            MSR_SVERSION => VERSION,
            MSR_SIEFP => self.event_page,
            MSR_SIMP => self.message_page,
            MSR_EOM => 0,
            _ if source(msr).is_some() => self.sints[source(msr)?],
            _ => self.timers.read(msr)?,
        })
    }

    /// WRMSR at time `now` (100 ns). `None`: none of its registers, or a value that it does not take (#GP).
    /// The page that an enabled SIEFP or SIMP names anew begins with zeros; its address comes back.
    pub fn write(
        &mut self,
        msr: u32,
        value: u64,
        now: u64,
        apic: &mut dyn Interrupts,
    ) -> Option<Option<u64>> {
        match msr {
            MSR_SCONTROL => self.control = value,
            MSR_SIEFP => return Some(named(&mut self.event_page, value)),
            MSR_SIMP => {
                self.look = true;
                return Some(named(&mut self.message_page, value));
            }
            MSR_EOM if value == 0 => self.look = true,
            _ if source(msr).is_some() => self.set_source(source(msr)?, value, apic)?,
            _ => self.timers.write(msr, value, now)?,
        }
        Some(None)
    }

    /// A vector below 16 is #GP, but for the masked one of a reset.
    fn set_source(&mut self, sint: usize, value: u64, apic: &mut dyn Interrupts) -> Option<()> {
        if (value as u8) < FIRST_VECTOR && value & SINT_MASKED == 0 {
            return None;
        }
        self.sints[sint] = value;
        let ending = |sint: &&u64| **sint & (SINT_MASKED | SINT_AUTO_EOI) == SINT_AUTO_EOI;
        apic.end_at_once(&mut self.sints.iter().filter(ending).map(|sint| *sint as u8));
        Some(())
    }

    /// Time passed (100 ns): timers expire into vectors and messages.
    pub fn tick(&mut self, now: u64, apic: &mut dyn Interrupts) {
        while let Some(expired) = self.timers.expire(now) {
            match expired {
                timers::Expired::Vector(vector) if vector >= FIRST_VECTOR => apic.request(vector),
                timers::Expired::Vector(_) => {}
                timers::Expired::Message(message) => self.queue(message),
            }
        }
    }

    fn queue(&mut self, message: Message) {
        self.messages.push_back(message);
        self.look = true;
    }

    /// The guest ended an interrupt.
    pub fn ended(&mut self) {
        self.look = true;
    }

    /// Messages or events are to be looked for.
    pub fn looks(&self) -> bool {
        self.look && !(self.messages.is_empty() && self.events.is_empty())
    }

    fn enabled(&self, page: u64) -> bool {
        self.control & page & ENABLE != 0
    }

    /// An edge of this source, unless nobody wants it.
    fn interrupt(&self, sint: u8, apic: &mut dyn Interrupts) {
        let register = self.sints[usize::from(sint)];
        if register & (SINT_MASKED | SINT_POLLING) == 0 {
            apic.request(register as u8);
        }
    }
}

impl Default for Synic {
    fn default() -> Self {
        Self::new()
    }
}

fn source(msr: u32) -> Option<usize> {
    let at = msr.checked_sub(MSR_SINT0)? as usize;
    (at < SOURCES).then_some(at)
}

/// Changes a register that names a page; the page where it is enabled and was not.
fn named(register: &mut u64, value: u64) -> Option<u64> {
    let fresh = value & ENABLE != 0 && (*register & ENABLE == 0 || (*register ^ value) >> 12 != 0);
    *register = value;
    fresh.then_some(value & !0xFFF)
}

#[cfg(test)]
#[path = "synic/tests.rs"]
mod tests;
