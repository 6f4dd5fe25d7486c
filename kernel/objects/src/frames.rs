//! Frames of guest memory: who has them, and whether they were accepted.
//!
//! RAM is accepted in chunks when one of their frames is first needed, or ahead, so that a guest
//! touches no more than it uses. A chunk is claimed once and settled once, and never waits again: a
//! second acceptance is how a host swaps pages under a guest.
//!
//! A bit a frame says whether it is free. These bits are pages of their own, one for `GROUP` frames
//! (128 MiB), made when the first chunk of a group is settled: nothing is kept of memory that was
//! never accepted but three words a group, in storage that the kernel gives.

use crate::tables::TableMemory;
use tessera_defs::x86::PAGE_SIZE;

/// Frames in an acceptance chunk (2 MiB).
pub const CHUNK: u64 = 512;
/// Frames that a page of bits stands for.
pub const GROUP: u64 = 64 * CHUNK;

/// Words of storage for `frames` frames, in `ranges` ranges that were not accepted.
pub const fn storage_words(frames: u64, ranges: u64) -> u64 {
    frames.div_ceil(GROUP) * 3 + ranges * 2
}

/// A run of frames.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Run {
    /// First frame number.
    pub first: u64,
    /// Frames.
    pub count: u64,
}

impl Run {
    const fn end(self) -> u64 {
        self.first + self.count
    }

    /// What it has in common with `first..end`, if anything.
    fn within(self, first: u64, end: u64) -> Option<Run> {
        let (first, end) = (self.first.max(first), self.end().min(end));
        (first < end).then(|| Run {
            first,
            count: end - first,
        })
    }
}

/// Chunks that somebody accepts now. It is settled, or the guest ends.
#[derive(Debug, PartialEq, Eq)]
#[must_use = "a claim that is not settled is memory lost"]
pub struct Claim(Run);

impl Claim {
    /// Its frames, from the first chunk's start to the last one's end.
    pub const fn run(&self) -> Run {
        self.0
    }
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
    /// list. The way back is `Frames::free_kept`, or `Frames::retake`.
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
    /// Gives the token up for an address that a region's list keeps, which knows that it is shared. The
    /// way back is `Frames::retake`.
    pub const fn keep(self) -> u64 {
        self.0.keep()
    }
}

/// What could not be done.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Error {
    /// No page for bits.
    OutOfMemory,
    /// The storage is too small for the frames or their ranges.
    StorageTooSmall,
}

/// Words of a group: guest physical address of its bits, set for a free frame (0: none of its frames
/// was accepted); chunks with frames that nobody accepted or claimed yet; chunks that were accepted.
type Group = [u64; 3];
const BITS: usize = 0;
const WAITING: usize = 1;
const ACCEPTED: usize = 2;

/// The bit of a frame's chunk.
const fn chunk_bit(frame: u64) -> u64 {
    1 << (frame / CHUNK % 64)
}

/// The word of a frame's bit.
const fn word_of(frame: u64) -> usize {
    (frame / 64 % 512) as usize
}

/// All frames below a limit.
pub struct Frames<'a> {
    groups: &'a mut [Group],
    /// Usable frames that were not accepted at first: first frame and count.
    ranges: &'a mut [[u64; 2]],
    ranges_used: usize,
    frames: u64,
    /// No frame below is free.
    next: u64,
    /// No chunk of a group below waits.
    waits: usize,
    accepted_count: u64,
    usable_count: u64,
}

impl<'a> Frames<'a> {
    /// No frame is usable; `add` and `give` then tell what the memory map and the image say.
    /// Errors: `StorageTooSmall`.
    pub fn new(storage: &'a mut [u64], frames: u64) -> Result<Self, Error> {
        let groups = frames.div_ceil(GROUP) as usize;
        if storage.len() < groups * 3 {
            return Err(Error::StorageTooSmall);
        }
        storage.fill(0);
        let (first, rest) = storage.split_at_mut(groups * 3);
        Ok(Self {
            groups: first.as_chunks_mut().0,
            ranges: rest.as_chunks_mut().0,
            ranges_used: 0,
            frames,
            next: 0,
            waits: 0,
            accepted_count: 0,
            usable_count: 0,
        })
    }

    /// RAM that must be accepted before use. It shares no chunk with frames that are given, and no frame
    /// with other RAM. Errors: `StorageTooSmall`.
    pub fn add(&mut self, first: u64, count: u64) -> Result<(), Error> {
        let Some(run) = (Run { first, count }).within(0, self.frames) else {
            return Ok(());
        };
        let range = self.ranges.get_mut(self.ranges_used);
        *range.ok_or(Error::StorageTooSmall)? = [run.first, run.count];
        self.ranges_used += 1;
        self.usable_count += run.count;
        for chunk in run.first / CHUNK..run.end().div_ceil(CHUNK) {
            self.change(chunk * CHUNK, |group, bit| group[WAITING] |= bit);
        }
        Ok(())
    }

    /// Frames that are accepted already and that nobody uses. Errors: `OutOfMemory`; none is free then.
    pub fn give(
        &mut self,
        memory: &mut impl TableMemory,
        first: u64,
        count: u64,
    ) -> Result<(), Error> {
        let Some(run) = (Run { first, count }).within(0, self.frames) else {
            return Ok(());
        };
        self.prepare(memory, run)?;
        self.usable_count += run.count;
        self.set_free(memory, run);
        Ok(())
    }

    /// A free frame. `None`: chunks must be settled first, or there is none at all.
    #[inline(always)]
    pub fn take(&mut self, memory: &mut impl TableMemory) -> Option<Frame> {
        let mut frame = self.next;
        while frame < self.frames {
            let [bits, waiting, _] = *self.groups.get((frame / GROUP) as usize)?;
            if waiting & chunk_bit(frame) != 0 {
                break;
            }
            if bits == 0 {
                frame = (frame | (CHUNK - 1)) + 1;
                continue;
            }
            let index = word_of(frame);
            let word = memory.read(bits, index);
            let free = word & u64::MAX << (frame % 64);
            if free != 0 {
                memory.write(bits, index, word ^ (free & free.wrapping_neg()));
                frame = frame & !63 | u64::from(free.trailing_zeros());
                self.next = frame + 1;
                return Some(Frame(frame));
            }
            frame = (frame | 63) + 1;
        }
        self.next = frame;
        None
    }

    /// Claims the first chunk that waits, and as many of those that follow it as are whole and make
    /// `most` at most. `None`: no chunk waits.
    pub fn claim(&mut self, most: u64) -> Option<Claim> {
        while self.groups.get(self.waits)?[WAITING] == 0 {
            self.waits += 1;
        }
        let chunk = u64::from(self.groups[self.waits][WAITING].trailing_zeros());
        let first = self.waits as u64 * GROUP + chunk * CHUNK;
        let mut end = first + CHUNK;
        let whole = self.whole(first);
        while whole && end < first + most * CHUNK && self.waiting(end) && self.whole(end) {
            end += CHUNK;
        }
        for frame in (first..end).step_by(CHUNK as usize) {
            self.change(frame, |group, bit| group[WAITING] &= !bit);
        }
        Some(Claim(Run {
            first,
            count: end - first,
        }))
    }

    /// The usable frames of a claim, in no order.
    pub fn runs(&self, claim: &Claim) -> impl Iterator<Item = Run> + '_ {
        let Run { first, count } = claim.0;
        let ranges = self.ranges[..self.ranges_used].iter();
        ranges.filter_map(move |[at, len]| {
            let range = Run {
                first: *at,
                count: *len,
            };
            range.within(first, first + count)
        })
    }

    /// Takes the pages of bits that settling a claim needs. Errors: `OutOfMemory`.
    pub fn prepare_for(
        &mut self,
        memory: &mut impl TableMemory,
        claim: &Claim,
    ) -> Result<(), Error> {
        self.prepare(memory, claim.0)
    }

    /// The frames of a claim are accepted: they are free. Errors: `OutOfMemory`.
    pub fn settle(&mut self, memory: &mut impl TableMemory, claim: Claim) -> Result<(), Error> {
        self.prepare(memory, claim.0)?;
        for at in 0..self.ranges_used {
            let [first, count] = self.ranges[at];
            if let Some(run) = (Run { first, count }).within(claim.0.first, claim.0.end()) {
                self.set_free(memory, run);
            }
        }
        Ok(())
    }

    /// Takes a frame back.
    pub fn free(&mut self, memory: &mut impl TableMemory, frame: Frame) {
        let [bits, ..] = self.groups[(frame.0 / GROUP) as usize];
        let index = word_of(frame.0);
        let word = memory.read(bits, index);
        memory.write(bits, index, word | 1 << (frame.0 % 64));
        self.next = self.next.min(frame.0);
    }

    /// Takes a frame back by the address that `Frame::keep` gave. False, and nothing changed,
    /// for a frame that is free, or of a chunk that was not accepted.
    pub fn free_kept(&mut self, memory: &mut impl TableMemory, address: u64) -> bool {
        let frame = self.retake(memory, address);
        let taken = frame.is_some();
        if let Some(frame) = frame {
            self.free(memory, frame);
        }
        taken
    }

    /// The token again that `keep` gave up, by its one keeper. `None` for a frame that is free, or of a chunk
    /// that was not accepted.
    pub fn retake(&self, memory: &impl TableMemory, address: u64) -> Option<Frame> {
        let frame = address / PAGE_SIZE;
        let [bits, _, accepted] = *self.groups.get((frame / GROUP) as usize)?;
        let taken = accepted & chunk_bit(frame) != 0
            && memory.read(bits, word_of(frame)) >> (frame % 64) & 1 == 0;
        taken.then_some(Frame(frame))
    }

    /// Frames accepted so far.
    pub const fn accepted(&self) -> u64 {
        self.accepted_count
    }

    /// Frames that the allocator was told of in all.
    pub const fn usable(&self) -> u64 {
        self.usable_count
    }

    fn waiting(&self, frame: u64) -> bool {
        let group = self.groups.get((frame / GROUP) as usize);
        group.is_some_and(|[_, waiting, _]| waiting & chunk_bit(frame) != 0)
    }

    /// Whether one range has all of a chunk.
    fn whole(&self, first: u64) -> bool {
        let chunk = first..first + CHUNK;
        let mut ranges = self.ranges[..self.ranges_used].iter();
        ranges.any(|[at, len]| *at <= chunk.start && chunk.end <= at + len)
    }

    fn change(&mut self, frame: u64, act: impl FnOnce(&mut Group, u64)) {
        if let Some(group) = self.groups.get_mut((frame / GROUP) as usize) {
            act(group, chunk_bit(frame));
        }
    }

    /// Makes the pages of bits for a run.
    fn prepare(&mut self, memory: &mut impl TableMemory, run: Run) -> Result<(), Error> {
        for group in run.first / GROUP..run.end().div_ceil(GROUP) {
            let bits = &mut self.groups[group as usize][BITS];
            if *bits == 0 {
                *bits = memory.allocate().ok_or(Error::OutOfMemory)?;
            }
        }
        Ok(())
    }

    /// Frames with bits, accepted now, are free.
    fn set_free(&mut self, memory: &mut impl TableMemory, run: Run) {
        let mut frame = run.first;
        while frame < run.end() {
            let end = run.end().min((frame | 63) + 1);
            let mask = u64::MAX >> (64 - (end - frame)) << (frame % 64);
            let index = word_of(frame);
            let bits = self.groups[(frame / GROUP) as usize][BITS];
            memory.write(bits, index, memory.read(bits, index) | mask);
            self.change(frame, |group, bit| group[ACCEPTED] |= bit);
            frame = end;
        }
        self.accepted_count += run.count;
        self.next = self.next.min(run.first);
    }
}

#[cfg(test)]
mod tests;
