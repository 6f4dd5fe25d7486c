//! What other processors sent to one that emulates a local APIC. Anybody posts, without waiting; the
//! owner takes.
//!
//! A sender posts, then interrupts the owner's processor. The owner takes with interrupts off, and
//! lets interrupts in only where it looks again afterwards: so nothing that was posted stays.

use core::sync::atomic::{AtomicU64, Ordering};

/// A set of bits that several processors use; `loom` replaces it in the tests.
pub trait Bits {
    /// Puts bits in; what was done before is seen by who takes them.
    fn put(&self, bits: u64);
    /// Takes all bits out.
    fn take(&self) -> u64;
    /// Whether there are any, as far as this processor knows yet.
    fn any(&self) -> bool;
}

impl Bits for AtomicU64 {
    fn put(&self, bits: u64) {
        self.fetch_or(bits, Ordering::Release);
    }
    fn take(&self) -> u64 {
        self.swap(0, Ordering::Acquire)
    }
    fn any(&self) -> bool {
        self.load(Ordering::Relaxed) != 0
    }
}

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
pub struct Inbox<B = AtomicU64> {
    edges: [B; 4],
    levels: [B; 4],
    nmi: B,
    /// Something was posted that was not taken.
    full: B,
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
            nmi: AtomicU64::new(0),
            full: AtomicU64::new(0),
        }
    }
}

impl<B: Bits> Inbox<B> {
    /// Posts an interrupt.
    pub fn post(&self, vector: u8, level: bool) {
        let words = if level { &self.levels } else { &self.edges };
        words[usize::from(vector / 64)].put(1 << (vector % 64));
        self.full.put(1);
    }

    /// Posts a non-maskable interrupt.
    pub fn post_nmi(&self) {
        self.nmi.put(1);
        self.full.put(1);
    }

    /// What was posted; nothing is left. `None` where nothing was posted since.
    pub fn take(&self) -> Option<Posted> {
        if !self.full.any() || self.full.take() == 0 {
            return None;
        }
        Some(Posted {
            edges: self.edges.each_ref().map(Bits::take),
            levels: self.levels.each_ref().map(Bits::take),
            nmi: self.nmi.take() != 0,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use loom::sync::Arc;
    use loom::sync::atomic::AtomicU64 as Loom;

    impl Bits for Loom {
        fn put(&self, bits: u64) {
            self.fetch_or(bits, Ordering::Release);
        }
        fn take(&self) -> u64 {
            self.swap(0, Ordering::Acquire)
        }
        fn any(&self) -> bool {
            self.load(Ordering::Relaxed) != 0
        }
    }

    fn model() -> Inbox<Loom> {
        let four = || [0; 4].map(Loom::new);
        Inbox {
            edges: four(),
            levels: four(),
            nmi: Loom::new(0),
            full: Loom::new(0),
        }
    }

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

    /// A post that is followed by a kick, and an owner that takes now and again when the kick came: all
    /// interleavings.
    #[test]
    fn a_kick_that_came_means_that_the_post_is_there() {
        loom::model(|| {
            let shared = Arc::new((model(), Loom::new(0)));
            let other = shared.clone();
            let sender = loom::thread::spawn(move || {
                other.0.post(0x41, false);
                other.1.put(1);
            });
            let (inbox, kick) = &*shared;
            let early = inbox.take().map_or(0, |posted| posted.edges[1]);
            let mut late = 0;
            if kick.take() != 0 {
                late = inbox.take().map_or(0, |posted| posted.edges[1]);
                assert_eq!(early | late, 1 << 1);
            }
            sender.join().unwrap();
            let rest = inbox.take().map_or(0, |posted| posted.edges[1]);
            assert_eq!(early | late | rest, 1 << 1);
        });
    }

    /// Two who post the same word, and an owner in between: nothing is lost.
    #[test]
    fn nothing_is_lost_between_two_senders() {
        loom::model(|| {
            let inbox = Arc::new(model());
            let senders = [0x41, 0x42].map(|vector| {
                let inbox = inbox.clone();
                loom::thread::spawn(move || inbox.post(vector, false))
            });
            let mut seen = inbox.take().map_or(0, |posted| posted.edges[1]);
            senders
                .into_iter()
                .for_each(|sender| sender.join().unwrap());
            seen |= inbox.take().map_or(0, |posted| posted.edges[1]);
            assert_eq!(seen, 0b110);
        });
    }
}
