//! The processors: what each of them runs, and who waits in its ready queues.
//!
//! Every operation is one processor's, which `enter` names. It changes what another one runs only
//! by ending that thread (`stop_elsewhere`); else it puts threads into queues, and `kicks` says who
//! must look at them.

use super::list::List;
use super::objects::{Reclaim, System};
use super::thread::Context;

/// Processors at most.
pub const CPUS: usize = 8;

/// One processor.
#[derive(Clone, Copy, Debug)]
#[repr(C, align(128))]
pub struct Cpu {
    /// Threads that can run: one list per priority.
    pub(super) lists: [List; 32],
    /// A bit for each list that is not empty.
    pub(super) bits: u32,
    /// Ticks that the running thread, with those whose time it was given, may still run.
    pub(super) slice: u32,
    /// The thread that it runs; 0: nobody.
    pub(super) current: u8,
    /// It was told to look at its queues, and did not yet.
    pub(super) kicked: bool,
    /// The thread whose vector state it has, for the kernel.
    pub loaded: u8,
    /// Root of the page tables that it has, for the kernel; 0: the kernel's own.
    pub tables: u64,
    /// FS base that it has, for the kernel.
    pub tls: u64,
}

impl Cpu {
    pub(super) const EMPTY: Self = Self {
        lists: [List::EMPTY; 32],
        bits: 0,
        slice: 0,
        current: 0,
        kicked: false,
        loaded: 0,
        tables: 0,
        tls: 0,
    };

    /// Whether somebody of a higher priority than `priority` (at most 31) waits here.
    #[inline(always)]
    pub(super) fn above(&self, priority: u8) -> bool {
        self.bits >> (priority & 31) > 1
    }

    /// The highest priority that waits here; 0: nobody.
    pub(super) fn highest(&self) -> u8 {
        31 - (self.bits | 1).leading_zeros() as u8
    }
}

impl<C: Context> System<C> {
    /// What follows is done by processor `cpu`, below `CPUS`.
    #[inline(always)]
    pub fn enter(&mut self, cpu: u8) {
        self.me = cpu;
    }

    /// The processor that works now.
    #[inline(always)]
    pub fn cpu(&mut self) -> &mut Cpu {
        &mut self.cpus[usize::from(self.me) % CPUS]
    }

    /// The thread that this processor runs next; 0: nobody.
    #[inline(always)]
    pub fn current(&self) -> u8 {
        self.cpus[usize::from(self.me) % CPUS].current
    }

    #[inline(always)]
    pub(super) fn set_current(&mut self, thread: u8) {
        self.cpu().current = thread;
    }

    /// A further processor takes part from now on. The first one always does.
    pub fn join(&mut self, cpu: u8) {
        self.others |= 1 << cpu & !1;
    }

    /// How many take part.
    pub fn processors(&self) -> u32 {
        1 + self.others.count_ones()
    }

    /// Those that take part, in order.
    pub(super) fn taking_part(&self) -> impl Iterator<Item = u8> + use<C> {
        let all = u32::from(self.others) | 1;
        (0..CPUS as u8).filter(move |cpu| all >> cpu & 1 == 1)
    }

    /// The highest priority that processor `cpu` runs or is about to.
    fn level(&self, cpu: u8) -> u8 {
        let cpu = &self.cpus[usize::from(cpu) % CPUS];
        let running = self.threads[usize::from(cpu.current)].effective;
        running.max(cpu.highest())
    }

    /// In whose queue a thread that can run waits: of the last processor that had it, unless another
    /// one would run it at once, and that one would not.
    pub(super) fn place(&self, thread: u8) -> u8 {
        if self.others == 0 {
            return 0;
        }
        let t = &self.threads[usize::from(thread)];
        let (mut best, mut least) = (t.home, self.level(t.home));
        for cpu in self.taking_part() {
            let level = self.level(cpu);
            if level < least && level < t.effective {
                (best, least) = (cpu, level);
            }
        }
        best
    }

    /// Where the thread of the highest priority waits, here rather than elsewhere: processor and
    /// priority, 0 if there is none.
    pub(super) fn best(&self) -> (u8, u8) {
        let mut best = (self.me, self.cpus[usize::from(self.me) % CPUS].highest());
        if self.others != 0 {
            for (cpu, other) in (0..).zip(&self.cpus) {
                if other.highest() > best.1 {
                    best = (cpu, other.highest());
                }
            }
        }
        best
    }

    /// The processor that runs a thread, where it is another one.
    pub(super) fn elsewhere(&self, thread: u8) -> Option<u8> {
        let runs = |cpu: &u8| self.cpus[usize::from(*cpu)].current == thread;
        self.taking_part().find(|cpu| *cpu != self.me && runs(cpu))
    }

    /// Before a thread ends: a processor that runs it must have let it go.
    pub(super) fn stop_elsewhere(&mut self, thread: u8, reclaim: &mut impl Reclaim) {
        if self.others == 0 {
            return;
        }
        if let Some(cpu) = self.elsewhere(thread) {
            reclaim.stop(cpu);
            let cpu = &mut self.cpus[usize::from(cpu)];
            (cpu.current, cpu.loaded, cpu.tables) = (0, 0, 0);
            // It has no registers to go on with, so it looks.
            cpu.kicked = true;
        }
    }

    /// The other processors that have these page tables, a bit each.
    #[inline(always)]
    pub fn having(&self, tables: u64) -> u8 {
        if self.others == 0 {
            return 0;
        }
        let bits = self.taking_part().map(|cpu| {
            let has = cpu != self.me && self.cpus[usize::from(cpu)].tables == tables;
            u8::from(has) << cpu
        });
        bits.sum()
    }

    /// The processors that must be told to look at their queues, a bit each. The kernel tells them
    /// before another one works.
    pub fn kicks(&mut self) -> u8 {
        let mut kicks = 0;
        if self.others == 0 {
            return kicks;
        }
        // Who waits for a processor that is busy with another one is an idle one's work.
        let left = |cpu: &Cpu| cpu.current != 0 && cpu.bits != 0;
        let left = self.cpus.iter().any(left);
        for number in self.taking_part() {
            let cpu = &mut self.cpus[usize::from(number)];
            let running = self.threads[usize::from(cpu.current)].effective;
            let looks = cpu.above(running) || (left && cpu.current == 0);
            if number != self.me && !cpu.kicked && looks {
                cpu.kicked = true;
                kicks |= 1 << number;
            }
        }
        kicks
    }
}
