//! What other processors sent to one that emulates a local APIC. Anybody posts, without waiting; the
//! owner takes.
//!
//! A sender posts, then interrupts the owner's processor. The owner takes with interrupts off, and
//! lets interrupts in only where it looks again afterwards: so nothing that was posted stays.

use core::sync::atomic::{AtomicBool, AtomicU64, Ordering};

/// One processor's.
#[derive(Debug)]
pub struct Inbox {
    vectors: [AtomicU64; 4],
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
            vectors: [const { AtomicU64::new(0) }; 4],
            nmi: AtomicBool::new(false),
            full: AtomicBool::new(false),
        }
    }

    /// Posts an interrupt.
    pub fn post(&self, vector: u8) {
        let word = &self.vectors[usize::from(vector / 64)];
        word.fetch_or(1 << (vector % 64), Ordering::Release);
        self.full.store(true, Ordering::Release);
    }

    /// Posts a non-maskable interrupt.
    pub fn post_nmi(&self) {
        self.nmi.store(true, Ordering::Release);
        self.full.store(true, Ordering::Release);
    }

    /// The vectors that were posted, a bit each, and whether an NMI was; nothing is left. `None`
    /// where nothing was posted since.
    pub fn take(&self) -> Option<([u64; 4], bool)> {
        if !self.full.load(Ordering::Relaxed) || !self.full.swap(false, Ordering::Acquire) {
            return None;
        }
        let vectors = [0, 1, 2, 3].map(|n| self.vectors[n].swap(0, Ordering::Acquire));
        Some((vectors, self.nmi.swap(false, Ordering::Acquire)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_posted_is_taken_once() {
        let inbox = Inbox::new();
        assert_eq!(inbox.take(), None);
        inbox.post(0x41);
        inbox.post(0x41);
        inbox.post(255);
        inbox.post_nmi();
        assert_eq!(inbox.take(), Some(([0, 1 << 1, 0, 1 << 63], true)));
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
                    (first..=254 + first).step_by(2).for_each(|v| inbox.post(v));
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
        if let Some((vectors, _)) = inbox.take() {
            seen.iter_mut()
                .zip(vectors)
                .for_each(|(all, new)| *all |= new);
        }
    }
}
