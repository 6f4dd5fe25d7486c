//! Registers without a processor, and frames without memory.

use super::super::objects::{Reclaim, System};
use super::super::space::Mapping;
use super::super::thread::Context;
use std::boxed::Box;
use std::vec::Vec;
use tessera_abi::message;

/// Registers: two words are enough.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Registers {
    pub handle: u64,
    pub tag: u64,
    pub words: [u64; 2],
    pub result: u64,
}

impl Context for Registers {
    const EMPTY: Self = Self {
        handle: 0,
        tag: 0,
        words: [0; 2],
        result: 0,
    };
    fn handle(&self) -> u64 {
        self.handle
    }
    fn tag(&self) -> u64 {
        self.tag
    }
    fn deliver(&mut self, from: &Self, badge: u64, tag: u64) {
        *self = Self {
            handle: badge,
            tag,
            words: from.words,
            result: message::MESSAGE,
        };
    }
    /// The second word stands for those that a short message does not carry.
    fn deliver_short(&mut self, from: &Self, badge: u64, tag: u64) {
        *self = Self {
            handle: badge,
            tag,
            words: [from.words[0], self.words[1]],
            result: message::SHORT,
        };
    }
    fn first_words(&self) -> [u64; 2] {
        self.words
    }
    fn deliver_words(&mut self, [a, b, ..]: [u64; 4], badge: u64, tag: u64) {
        *self = Self {
            handle: badge,
            tag,
            words: [a, b],
            result: message::SHORT,
        };
    }
    fn set_result(&mut self, result: u64) {
        self.result = result;
    }
    fn set_notified(&mut self, bits: u64) {
        self.result = message::NOTIFIED;
        self.handle = bits;
    }
}

/// Counts what comes back.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Back {
    pub stopped: Vec<u8>,
    pub regions: Vec<u8>,
    /// Those of them that the host sees.
    pub shared: usize,
    pub unmapped: u64,
    pub flushed: u8,
    pub spaces: Vec<u64>,
}

impl Reclaim for Back {
    fn stop(&mut self, cpu: u8) {
        self.stopped.push(cpu);
    }
    fn flush(&mut self, processors: u8) {
        self.flushed |= processors;
    }
    fn leave(&mut self) {}
    fn region(&mut self, index: u8, _: u64, shared: bool) {
        self.regions.push(index);
        self.shared += usize::from(shared);
    }
    fn unmap(&mut self, _: u64, _: u64, pages: u64, _: &[Mapping]) -> u64 {
        self.unmapped += pages;
        0
    }
    fn space(&mut self, tables: u64) {
        self.spaces.push(tables);
    }
}

pub type Fake = System<Registers>;

/// A system with one process of `quota` pages and one running thread. On the heap at once:
/// it is too large for a test's stack to hold copies of.
pub fn system(quota: u64) -> Box<Fake> {
    let mut system: Box<Fake> = std::vec![Fake::EMPTY]
        .into_boxed_slice()
        .into_vec()
        .into_iter()
        .map(Box::new)
        .next()
        .unwrap();
    let first = system.create_first(quota, 1000).unwrap();
    system.create_thread(first, Registers::EMPTY, 8).unwrap();
    system.tick(2);
    assert_eq!(system.current(), 1);
    system
}

impl Fake {
    /// Sets the running thread's registers for a call.
    pub fn registers(&mut self, handle: u64, tag: u64, words: [u64; 2]) {
        let me = self.current();
        let context = &mut self.thread(me).context;
        *context = Registers {
            handle,
            tag,
            words,
            result: u64::MAX / 2,
        };
    }
}
