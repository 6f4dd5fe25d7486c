//! Whose turn it is. There is one processor below: the virtual processors run in turns, which end by
//! the host's timer, by HLT, and by PAUSE where somebody else could run. The lengths are drawn from
//! a generator of their own, by the scenario's seed: other seeds are other interleavings, and the same
//! seed is the same one.

use super::{
    Vmm,
    vp::{Activity, Vp},
};
use crate::report::End;

/// Turns are of 2^SHORTEST to 2^(SHORTEST + SCALES) instructions, each scale as often.
const SHORTEST: u64 = 10;
const SCALES: u64 = 8;

/// The state of the turns.
#[derive(Clone, Debug)]
pub struct Turns {
    /// The processor whose turn it is.
    current: usize,
    /// Time stamp at which it ends.
    end: u64,
    /// It gave the rest away.
    given: bool,
    random: u64,
}

impl Turns {
    /// Processor 0 begins.
    pub fn new(seed: u64) -> Self {
        Self {
            current: 0,
            end: 0,
            given: false,
            random: seed.wrapping_mul(0xD134_2543_DE82_EF95) | 1,
        }
    }

    fn length(&mut self) -> u64 {
        let mut next = || {
            self.random ^= self.random << 13;
            self.random ^= self.random >> 7;
            self.random ^= self.random << 17;
            self.random >> 11
        };
        let scale = 1 << (SHORTEST + next() % SCALES);
        scale + next() % scale
    }
}

impl Vmm {
    /// For tests: whose turn it is.
    #[cfg(test)]
    pub fn goes_to(&mut self, vp: usize) {
        self.turns.current = vp;
    }

    /// Index of the processor whose turn it is.
    pub fn current(&self) -> usize {
        self.turns.current
    }

    /// The processor whose turn it is.
    pub fn vp(&mut self) -> &mut Vp {
        // The index is always that of a processor.
        &mut self.vps[self.turns.current]
    }

    /// Chooses who runs next; where nobody can, leaps to the next timer interrupt. `false`: it leapt to a
    /// timer whose message is to be delivered first. Errors: nothing will ever come.
    pub fn next_turn(&mut self) -> Result<bool, End> {
        let now = self.now();
        let alone = self.vps.len() == 1;
        let over = self.turns.given || now >= self.turns.end;
        let current = self.turns.current;
        if (alone || !over) && self.vps[current].ready(now) {
            self.wake(current);
            return Ok(true);
        }
        if let Some(next) = self.ready_after(current, now) {
            self.give_turn(next, now);
            return Ok(true);
        }
        let first = self.vps.iter().filter_map(Vp::wakes).min();
        let Some(at) = first else {
            return Err(self.stuck());
        };
        self.skew = self.skew.wrapping_add(at.saturating_sub(now));
        let now = self.now();
        match self.ready_after(current, now) {
            Some(next) => self.give_turn(next, now),
            None if self.vps.iter().any(Vp::looks) => return Ok(false),
            // A higher priority holds the timer's interrupt: nothing else will come.
            None => return Err(self.stuck()),
        }
        Ok(true)
    }

    fn ready_after(&mut self, current: usize, now: u64) -> Option<usize> {
        let count = self.vps.len();
        let mut order = (1..=count).map(|n| (current + n) % count);
        order.find(|n| self.vps[*n].ready(now))
    }

    fn give_turn(&mut self, next: usize, now: u64) {
        self.turns.current = next;
        self.turns.given = false;
        if self.vps.len() > 1 {
            self.turns.end = now.saturating_add(self.turns.length());
        }
        self.vps[next].turns += 1;
        self.wake(next);
    }

    fn wake(&mut self, next: usize) {
        if let Activity::Halted { .. } = self.vps[next].activity {
            self.vps[next].activity = Activity::Runs;
        }
    }

    /// HLT of the processor whose turn it is; `interrupts`: they end it.
    pub fn halt(&mut self, interrupts: bool) {
        self.vp().activity = Activity::Halted { interrupts };
    }

    /// The current processor has an event to get from the vmm.
    pub fn waits(&mut self) -> bool {
        self.pending_interrupt().is_some() || self.vp().nmi
    }

    /// PAUSE: the rest of the turn is somebody else's.
    pub fn pause(&mut self) {
        self.turns.given = true;
    }

    /// Whether somebody else could run now: then PAUSE is worth an exit.
    pub fn others_ready(&mut self) -> bool {
        let (now, current) = (self.now(), self.turns.current);
        let count = self.vps.len();
        (0..count).any(|n| n != current && self.vps[n].ready(now))
    }

    /// Instructions that the turn may still take; none say where nobody shares the processor.
    pub fn turn_left(&self) -> Option<u64> {
        (self.vps.len() > 1).then(|| self.turns.end.saturating_sub(self.now()))
    }

    /// Nobody can go on.
    pub(super) fn stuck(&self) -> End {
        match self.withholds_processors() {
            true => End::Denied(self.scenario.lie),
            false => End::Hang("halted for ever"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::scenario::Scenario;
    use super::*;
    use std::vec::Vec;
    use tessera_defs::x86::x2apic;

    fn host(text: &str) -> Vmm {
        let mut vmm = Vmm::new(Scenario::parse(text).unwrap(), crate::machine::FAKE);
        vmm.vps
            .iter_mut()
            .for_each(|vp| vp.activity = Activity::Runs);
        vmm
    }

    fn lengths(seed: u64) -> Vec<u64> {
        let mut turns = Turns::new(seed);
        (0..100).map(|_| turns.length()).collect()
    }

    #[test]
    fn a_seed_is_an_interleaving() {
        assert_eq!(lengths(7), lengths(7));
        assert_ne!(lengths(7), lengths(8));
        let legal = 1 << SHORTEST..1 << (SHORTEST + SCALES);
        assert!(lengths(9).iter().all(|length| legal.contains(length)));
    }

    #[test]
    fn a_turn_goes_on_until_it_is_over_or_given() {
        let mut vmm = host("smp=3");
        vmm.next_turn().unwrap();
        let first = vmm.current();
        vmm.next_turn().unwrap();
        assert_eq!(vmm.current(), first);
        vmm.pause();
        vmm.next_turn().unwrap();
        assert_eq!(vmm.current(), (first + 1) % 3);
        vmm.skew += vmm.turn_left().unwrap();
        vmm.next_turn().unwrap();
        assert_eq!(vmm.current(), (first + 2) % 3);
    }

    #[test]
    fn who_halts_is_passed_over_until_an_interrupt_comes() {
        let mut vmm = host("smp=2");
        vmm.next_turn().unwrap();
        let (one, other) = (vmm.current(), 1 - vmm.current());
        vmm.vps[one].apic.write(x2apic::SIVR, 0x1FF, 0).unwrap();
        vmm.halt(true);
        vmm.next_turn().unwrap();
        assert_eq!(vmm.current(), other);
        vmm.pause();
        vmm.next_turn().unwrap();
        assert_eq!(vmm.current(), other, "nobody else");
        vmm.vps[one].apic.request(0x50);
        vmm.pause();
        vmm.next_turn().unwrap();
        assert_eq!(vmm.current(), one);
        assert_eq!(vmm.vp().activity, Activity::Runs);
    }

    #[test]
    fn all_halted_leaps_to_the_first_timer_or_is_stuck() {
        let mut vmm = host("smp=2");
        for (n, count) in [(0, 900), (1, 500)] {
            let apic = &mut vmm.vps[n].apic;
            for (register, value) in [
                (x2apic::SIVR, 0x1FF),
                (x2apic::DIVIDE, 0b1011),
                (x2apic::LVT_TIMER, 0x40),
                (x2apic::INITIAL_COUNT, count),
            ] {
                apic.write(register, value, 0).unwrap();
            }
            vmm.vps[n].activity = Activity::Halted { interrupts: true };
        }
        vmm.next_turn().unwrap();
        assert_eq!((vmm.current(), vmm.now()), (1, 500));
        vmm.halt(false);
        vmm.vps[0].activity = Activity::Halted { interrupts: false };
        assert_eq!(vmm.next_turn(), Err(End::Hang("halted for ever")));
        vmm.vps[0].nmi = true;
        vmm.next_turn().unwrap();
        assert_eq!(vmm.current(), 0);
    }
}
