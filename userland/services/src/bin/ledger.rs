//! Keeps numbers. A number that was acknowledged is kept once, whatever happens to this process.
#![no_std]
#![no_main]

use core::sync::atomic::{AtomicU64, Ordering};
use tessera_abi::message;
use tessera_runtime::ipc::{self, Message, Received};
use tessera_runtime::{service, state, time};

/// Label: keep word 0 for this caller. Answer: word 0 is 1, or 0 when there is no room.
const KEEP: u32 = 1;
/// Label: how many numbers this caller has. Answer: word 0.
const COUNT: u32 = 2;
/// Label: the caller's number at place word 0. Answer: word 0.
const READ: u32 = 3;

/// As in `services.toml`.
const PAGES: usize = 4;

service!(main);

/// The state: how many entries are whole, then pairs of badge and number.
struct Ledger(&'static [AtomicU64]);

impl Ledger {
    fn entries(&self) -> impl Iterator<Item = (u64, u64)> {
        let whole = self.0[0].load(Ordering::Acquire) as usize;
        let word = |n: usize| self.0[n].load(Ordering::Relaxed);
        (0..whole).map(move |n| (word(1 + 2 * n), word(2 + 2 * n)))
    }

    fn of(&self, badge: u64) -> impl Iterator<Item = u64> {
        let own = self.entries().filter(move |(owner, _)| *owner == badge);
        own.map(|(_, number)| number)
    }

    fn keep(&self, badge: u64, number: u64) -> u64 {
        // A request that is sent again after its answer was lost.
        if self.of(badge).any(|kept| kept == number) {
            return 1;
        }
        let whole = self.0[0].load(Ordering::Acquire);
        let at = 1 + 2 * whole as usize;
        let Some([owner, slot]) = self.0.get(at..at + 2) else {
            return 0;
        };
        owner.store(badge, Ordering::Relaxed);
        slot.store(number, Ordering::Relaxed);
        // Whoever wants to end this process may do it here, in the middle.
        time::yield_now();
        self.0[0].store(whole + 1, Ordering::Release);
        1
    }
}

fn main(_: u64) -> u64 {
    let ledger = Ledger(state::words(PAGES));
    let mut message = Message::default();
    let mut received = ipc::receive(service::OWN, &mut message, 0);
    loop {
        let Ok(Received::Message(badge)) = received else {
            return 1;
        };
        let word = message.words[0];
        let answer = match message::label(message.tag) {
            KEEP => ledger.keep(badge, word),
            COUNT => ledger.of(badge).count() as u64,
            READ => ledger.of(badge).nth(word as usize).unwrap_or(u64::MAX),
            _ => u64::MAX,
        };
        message = Message::default();
        message.words[0] = answer;
        received = ipc::reply_receive(service::OWN, &mut message, 0);
    }
}
