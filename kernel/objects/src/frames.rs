//! Frames of guest memory: who has them, and whether they were accepted.
//!
//! Two bits a frame, in storage that the kernel gives (private memory). Acceptance happens in
//! chunks when a frame of the chunk is first needed, so that a guest touches no more than it uses.
//! A frame that was accepted once is never accepted again: a second acceptance is how a host
//! swaps pages under a guest.

use tessera_defs::x86::PAGE_SIZE;

/// Frames in an acceptance chunk (2 MiB).
pub const CHUNK: u64 = 512;

/// Bytes of bitmap storage for `frames` frames.
pub const fn storage_bytes(frames: u64) -> u64 {
    frames.div_ceil(64) * 8 * 2
}

/// A run of frames that must be accepted before use.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Run {
    /// First frame number.
    pub first: u64,
    /// Frames.
    pub count: u64,
}

/// An owned frame. Whoever has it may use it, share it or give it back; nobody else can.
#[derive(Debug, PartialEq, Eq)]
#[must_use = "a frame that is dropped is lost"]
pub struct Frame(u64);

impl Frame {
    /// Guest physical address.
    pub const fn address(&self) -> u64 {
        self.0 * PAGE_SIZE
    }

    /// Gives the token up for an address that somebody keeps: a page-table entry, a region's
    /// list. The way back is `Frames::free_kept`.
    pub const fn keep(self) -> u64 {
        self.address()
    }
}

/// An owned frame that the host can read and write. Its way back is a visibility change.
#[derive(Debug, PartialEq, Eq)]
#[must_use = "a shared frame that is dropped stays visible to the host"]
pub struct SharedFrame(Frame);

impl SharedFrame {
    /// Marks a frame as shared; only after the host and the hardware agreed.
    pub const fn from_private(frame: Frame) -> Self {
        Self(frame)
    }
    /// Marks it as private again; only after host and hardware agreed and it was cleared.
    pub fn into_private(self) -> Frame {
        self.0
    }
    /// Guest physical address, without isolation bits.
    pub const fn address(&self) -> u64 {
        self.0.address()
    }
}

/// What could not be done.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Error {
    /// No free frame.
    OutOfMemory,
    /// The storage is too small for the frames.
    StorageTooSmall,
}

/// All frames below a limit.
pub struct Frames<'a> {
    used: &'a mut [u64],
    accepted: &'a mut [u64],
    frames: u64,
    next: u64,
    accepted_count: u64,
    usable_count: u64,
}

impl<'a> Frames<'a> {
    /// Everything below `frames` in use and not accepted; `release` and `mark_accepted` then
    /// tell what the memory map and the image say. Errors: `StorageTooSmall`.
    pub fn new(storage: &'a mut [u64], frames: u64) -> Result<Self, Error> {
        let words = frames.div_ceil(64) as usize;
        if storage.len() < words * 2 {
            return Err(Error::StorageTooSmall);
        }
        let (used, rest) = storage.split_at_mut(words);
        used.fill(u64::MAX);
        rest[..words].fill(0);
        let accepted = &mut rest[..words];
        Ok(Self {
            used,
            accepted,
            frames,
            next: 0,
            accepted_count: 0,
            usable_count: 0,
        })
    }

    /// Gives frames `first..first + count` to the allocator.
    pub fn release(&mut self, first: u64, count: u64) {
        let end = first.saturating_add(count).min(self.frames);
        let mut frame = first;
        while frame < end {
            // Whole words at once: there are many of them at the start.
            let whole = frame.is_multiple_of(64) && end - frame >= 64;
            let mask = if whole { u64::MAX } else { 1 << (frame % 64) };
            let word = &mut self.used[frame as usize / 64];
            self.usable_count += u64::from((*word & mask).count_ones());
            *word &= !mask;
            frame += if whole { 64 } else { 1 };
        }
    }

    /// Takes frames away from the allocator.
    pub fn reserve(&mut self, first: u64, count: u64) {
        for frame in first..(first + count).min(self.frames) {
            if !bit(self.used, frame) {
                set(self.used, frame);
                self.usable_count -= 1;
            }
        }
    }

    /// Notes that frames were accepted; frames that were already count once.
    pub fn mark_accepted(&mut self, first: u64, count: u64) {
        for frame in first..(first + count).min(self.frames) {
            if !bit(self.accepted, frame) {
                set(self.accepted, frame);
                self.accepted_count += 1;
            }
        }
    }

    /// A frame for the caller. `accept` is called for runs of usable frames around it that were
    /// never accepted (at most one chunk); a run counts as accepted only when it returns `Ok`.
    /// Errors: `OutOfMemory` as `Err(None)`, or the caller's own as `Err(Some(_))`.
    pub fn allocate<E>(
        &mut self,
        mut accept: impl FnMut(Run) -> Result<(), E>,
    ) -> Result<Frame, Option<E>> {
        let frame = self.find_free().ok_or(None)?;
        if !bit(self.accepted, frame) {
            self.accept_chunk(frame, &mut accept).map_err(Some)?;
        }
        set(self.used, frame);
        self.next = frame + 1;
        Ok(Frame(frame))
    }

    /// Takes a frame back.
    pub fn free(&mut self, frame: Frame) {
        clear(self.used, frame.0);
        self.next = self.next.min(frame.0);
    }

    /// Takes a frame back by the address that `Frame::keep` gave. False, and nothing changed,
    /// for a frame that nobody has.
    pub fn free_kept(&mut self, address: u64) -> bool {
        let frame = address / PAGE_SIZE;
        let taken = frame < self.frames && bit(self.used, frame) && bit(self.accepted, frame);
        if taken {
            self.free(Frame(frame));
        }
        taken
    }

    /// Frames accepted so far.
    pub const fn accepted(&self) -> u64 {
        self.accepted_count
    }

    /// Frames that the allocator was given in all.
    pub const fn usable(&self) -> u64 {
        self.usable_count
    }

    fn find_free(&self) -> Option<u64> {
        (self.next..self.frames)
            .chain(0..self.next)
            .find(|frame| !bit(self.used, *frame))
    }

    fn accept_chunk<E>(
        &mut self,
        frame: u64,
        accept: &mut impl FnMut(Run) -> Result<(), E>,
    ) -> Result<(), E> {
        let start = frame / CHUNK * CHUNK;
        let end = (start + CHUNK).min(self.frames);
        let mut first = start;
        while first < end {
            let wanted = |f: u64| !bit(self.used, f) && !bit(self.accepted, f);
            if !wanted(first) {
                first += 1;
                continue;
            }
            let count = (first..end).take_while(|f| wanted(*f)).count() as u64;
            accept(Run { first, count })?;
            self.mark_accepted(first, count);
            first += count;
        }
        Ok(())
    }
}

fn bit(bits: &[u64], frame: u64) -> bool {
    bits[frame as usize / 64] >> (frame % 64) & 1 != 0
}
fn set(bits: &mut [u64], frame: u64) {
    bits[frame as usize / 64] |= 1 << (frame % 64);
}
fn clear(bits: &mut [u64], frame: u64) {
    bits[frame as usize / 64] &= !(1 << (frame % 64));
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use std::collections::BTreeSet;
    use std::vec;
    use std::vec::Vec;

    fn storage(frames: u64) -> Vec<u64> {
        vec![0; storage_bytes(frames) as usize / 8]
    }

    #[test]
    fn accepts_one_chunk_at_a_time_and_never_twice() {
        let mut storage = storage(2048);
        let mut frames = Frames::new(&mut storage, 2048).unwrap();
        frames.release(600, 1000);
        let mut runs = Vec::new();
        for _ in 0..500 {
            let _frame = frames
                .allocate::<()>(|run| {
                    runs.push(run);
                    Ok(())
                })
                .unwrap();
        }
        assert_eq!(
            runs,
            [
                Run {
                    first: 600,
                    count: 424
                },
                Run {
                    first: 1024,
                    count: 512
                }
            ]
        );
        assert_eq!(frames.accepted(), 936);
    }

    #[test]
    fn a_refused_acceptance_gives_no_frame() {
        let mut storage = storage(64);
        let mut frames = Frames::new(&mut storage, 64).unwrap();
        frames.release(0, 64);
        assert_eq!(frames.allocate(|_| Err("host")), Err(Some("host")));
        assert_eq!(frames.accepted(), 0);
    }

    #[test]
    fn storage_too_small_is_an_error() {
        assert_eq!(
            Frames::new(&mut [0; 1], 64).err(),
            Some(Error::StorageTooSmall)
        );
    }

    proptest! {
        #[test]
        fn no_frame_twice_and_none_lost(ops in prop::collection::vec(any::<bool>(), 1..400)) {
            let mut storage = storage(256);
            let mut frames = Frames::new(&mut storage, 256).unwrap();
            frames.release(16, 200);
            let mut held = Vec::new();
            let mut accepted = BTreeSet::new();
            for take in ops {
                if take {
                    let got = frames.allocate::<()>(|run| {
                        for f in run.first..run.first + run.count {
                            assert!(accepted.insert(f), "frame {f} accepted twice");
                        }
                        Ok(())
                    });
                    match got {
                        Ok(frame) => {
                            prop_assert!((16..216).contains(&(frame.address() / 4096)));
                            prop_assert!(!held.contains(&frame));
                            held.push(frame);
                        }
                        Err(_) => prop_assert_eq!(held.len(), 200),
                    }
                } else if let Some(frame) = held.pop() {
                    frames.free(frame);
                }
            }
            prop_assert_eq!(frames.accepted(), accepted.len() as u64);
        }
    }
}
