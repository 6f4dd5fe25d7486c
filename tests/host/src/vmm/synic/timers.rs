//! Synthetic timers. Times are in 100 ns of the partition's reference time. Source: TLFS 6.0b, 12.2;
//! direct mode: `defs::hyperv::synic`.

use super::Message;
use alloc::vec::Vec;
use tessera_defs::hyperv::synic::*;

/// What a timer came to.
#[derive(Debug, PartialEq, Eq)]
pub enum Expired {
    /// It requests this vector.
    Vector(u8),
    /// It sends this message.
    Message(Message),
}

/// One timer.
#[derive(Clone, Copy, Debug, Default)]
struct Timer {
    config: u64,
    count: u64,
    /// When it expires next.
    at: Option<u64>,
    /// Its last message waits: there is never a second one.
    waits: bool,
}

impl Timer {
    fn direct(&self) -> bool {
        self.config & TIMER_DIRECT != 0
    }

    fn arm(&mut self, now: u64) {
        let runs = self.config & TIMER_ENABLE != 0 && self.count != 0;
        let periodic = self.config & TIMER_PERIODIC != 0;
        let at = if periodic {
            now.saturating_add(self.count)
        } else {
            self.count
        };
        self.at = runs.then_some(at);
    }

    /// `None` is #GP.
    fn set_config(&mut self, value: u64, now: u64) -> Option<()> {
        if value & TIMER_RESERVED != 0 {
            return None;
        }
        let nowhere = value & TIMER_DIRECT == 0 && value >> TIMER_SINT_SHIFT & 0xF == 0;
        self.config = if nowhere {
            value & !TIMER_ENABLE
        } else {
            value
        };
        self.arm(now);
        Some(())
    }

    /// 0 stops it, whatever `TIMER_AUTO_ENABLE` says.
    fn set_count(&mut self, value: u64, now: u64) -> Option<()> {
        self.count = value;
        if value == 0 {
            self.config &= !TIMER_ENABLE;
            self.at = None;
            return Some(());
        }
        let enable = self.config & TIMER_AUTO_ENABLE != 0;
        let config = self.config | if enable { TIMER_ENABLE } else { 0 };
        self.set_config(config, now)
    }

    /// The time at which it expired, once; a period that was missed is not made good.
    fn expire(&mut self, now: u64) -> Option<u64> {
        let held = self.waits && !self.direct();
        let at = self.at.filter(|at| *at <= now && !held)?;
        if self.config & TIMER_PERIODIC != 0 {
            let missed = (now - at) / self.count + 1;
            self.at = Some(at.saturating_add(self.count.saturating_mul(missed)));
        } else {
            (self.at, self.config) = (None, self.config & !TIMER_ENABLE);
        }
        Some(at)
    }

    /// When it will ask for the processor.
    fn deadline(&self) -> Option<u64> {
        let held = self.waits && !self.direct() || self.config & TIMER_LAZY != 0;
        self.at.filter(|_| !held)
    }
}

/// A processor's timers.
#[derive(Clone, Copy, Debug, Default)]
pub struct Timers {
    all: [Timer; TIMERS],
    /// One of them may expire: looked at in every exit.
    armed: bool,
}

impl Timers {
    /// RDMSR; `None`: no register of theirs.
    pub fn read(&self, msr: u32) -> Option<u64> {
        let (timer, count) = place(msr)?;
        Some(if count {
            self.all[timer].count
        } else {
            self.all[timer].config
        })
    }

    /// WRMSR; `None`: no register of theirs, or #GP.
    pub fn write(&mut self, msr: u32, value: u64, now: u64) -> Option<()> {
        let (timer, count) = place(msr)?;
        let done = match count {
            true => self.all[timer].set_count(value, now),
            false => self.all[timer].set_config(value, now),
        };
        self.armed = self.all.iter().any(|timer| timer.at.is_some());
        done
    }

    /// Whether one of them may expire at all.
    pub fn armed(&self) -> bool {
        self.armed
    }

    /// One timer whose time has come.
    pub fn expire(&mut self, now: u64) -> Option<Expired> {
        for (index, timer) in self.all.iter_mut().enumerate() {
            let Some(at) = timer.expire(now) else {
                continue;
            };
            if timer.direct() {
                return Some(Expired::Vector((timer.config >> TIMER_VECTOR_SHIFT) as u8));
            }
            timer.waits = true;
            return Some(Expired::Message(message(index as u8, timer.config, at)));
        }
        None
    }

    /// Its message found its slot.
    pub fn sent(&mut self, timer: u8) {
        self.all[usize::from(timer)].waits = false;
    }

    /// When the first one that is not lazy expires.
    pub fn deadline(&self) -> Option<u64> {
        self.all.iter().filter_map(Timer::deadline).min()
    }
}

/// Index, and whether it is COUNT.
fn place(msr: u32) -> Option<(usize, bool)> {
    let at = msr.checked_sub(MSR_STIMER0_CONFIG)? as usize;
    (at < 2 * TIMERS).then_some((at / 2, at % 2 == 1))
}

/// The delivery time is filled in with the slot.
fn message(timer: u8, config: u64, at: u64) -> Message {
    let words = [u64::from(timer), at, 0];
    let payload: Vec<u8> = words.iter().flat_map(|word| word.to_le_bytes()).collect();
    Message {
        sint: (config >> TIMER_SINT_SHIFT & 0xF) as u8,
        kind: MESSAGE_TIMER_EXPIRED,
        origin: 0,
        payload,
        timer: Some(timer),
    }
}
