//! What other processors sent to one that emulates a local APIC. Anybody posts, without waiting; the
//! owner takes.
//!
//! A sender posts, then interrupts the owner's processor. The owner takes with interrupts off, and
//! lets interrupts in only where it looks again afterwards: so nothing that was posted stays.

use core::sync::atomic::{AtomicBool, AtomicU64, Ordering};

/// What was posted: vectors, a bit each.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Posted {
    /// Of edges, and of commands.
    pub edges: [u64; 4],
    /// Of level interrupts, whose end somebody waits for.
    pub levels: [u64; 4],
    /// A non-maskable interrupt, too.
    pub nmi: bool,
}

/// One processor's.
#[derive(Debug)]
pub struct Inbox {
    edges: [AtomicU64; 4],
    levels: [AtomicU64; 4],
    nmi: AtomicBool,
    /// Something was posted that was not taken.
    full: AtomicBool,
}

impl Default for Inbox {
    fn default() -> Self {
        Self::new()
    }
}

impl Inbox {
    /// Empty.
    pub const fn new() -> Self {
        Self {
            edges: [const { AtomicU64::new(0) }; 4],
            levels: [const { AtomicU64::new(0) }; 4],
            nmi: AtomicBool::new(false),
            full: AtomicBool::new(false),
        }
    }

    /// Posts an interrupt.
    pub fn post(&self, vector: u8, level: bool) {
        let words = if level { &self.levels } else { &self.edges };
        let word = &words[usize::from(vector / 64)];
        word.fetch_or(1 << (vector % 64), Ordering::Release);
        self.full.store(true, Ordering::Release);
    }

    /// Posts a non-maskable interrupt.
    pub fn post_nmi(&self) {
        self.nmi.store(true, Ordering::Release);
        self.full.store(true, Ordering::Release);
    }

    /// What was posted; nothing is left. `None` where nothing was posted since.
    pub fn take(&self) -> Option<Posted> {
        if !self.full.load(Ordering::Relaxed) || !self.full.swap(false, Ordering::Acquire) {
            return None;
        }
        let all = |words: &[AtomicU64; 4]| words.each_ref().map(|w| w.swap(0, Ordering::Acquire));
        Some(Posted {
            edges: all(&self.edges),
            levels: all(&self.levels),
            nmi: self.nmi.swap(false, Ordering::Acquire),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_posted_is_taken_once() {
        let inbox = Inbox::new();
        assert_eq!(inbox.take(), None);
        inbox.post(0x41, false);
        inbox.post(0x41, false);
        inbox.post(255, false);
        inbox.post(0x42, true);
        inbox.post_nmi();
        let posted = Posted {
            edges: [0, 1 << 1, 0, 1 << 63],
            levels: [0, 1 << 2, 0, 0],
            nmi: true,
        };
        assert_eq!(inbox.take(), Some(posted));
        assert_eq!(inbox.take(), None);
    }

    #[test]
    fn threads_lose_nothing() {
        let inbox = Inbox::new();
        let mut seen = [0u64; 4];
        std::thread::scope(|scope| {
            for first in [0u8, 1] {
                let inbox = &inbox;
                scope.spawn(move || {
                    (first..=254 + first)
                        .step_by(2)
                        .for_each(|v| inbox.post(v, false));
                });
            }
            for _ in 0..1000 {
                collect(&inbox, &mut seen);
            }
        });
        collect(&inbox, &mut seen);
        assert_eq!(seen, [u64::MAX; 4]);
    }

    fn collect(inbox: &Inbox, seen: &mut [u64; 4]) {
        if let Some(posted) = inbox.take() {
            seen.iter_mut()
                .zip(posted.edges)
                .for_each(|(all, new)| *all |= new);
        }
    }
}
