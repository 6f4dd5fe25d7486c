use super::*;
use crate::tables::{Access, Mapping, PageBits, Size, Tables};
use proptest::prelude::*;
use std::collections::BTreeSet;
use std::vec;
use std::vec::Vec;

/// Pages at 0x1000, 0x2000, ..
#[derive(Default)]
struct Fake(Vec<[u64; 512]>);

impl TableMemory for Fake {
    fn read(&self, table: u64, index: usize) -> u64 {
        self.0[table as usize / 4096 - 1][index]
    }
    fn write(&mut self, table: u64, index: usize, entry: u64) {
        self.0[table as usize / 4096 - 1][index] = entry;
    }
    fn allocate(&mut self) -> Option<u64> {
        self.0.push([0; 512]);
        Some(self.0.len() as u64 * 4096)
    }
}

fn storage(frames: u64) -> Vec<u64> {
    vec![0; storage_words(frames, 4) as usize]
}

/// A frame, and the runs that were accepted for it.
fn frame(frames: &mut Frames<'_>, memory: &mut Fake, runs: &mut Vec<Run>) -> Option<Frame> {
    loop {
        if let Some(frame) = frames.take(memory) {
            return Some(frame);
        }
        let claim = frames.claim(1)?;
        runs.extend(frames.runs(&claim));
        frames.settle(memory, claim).unwrap();
    }
}

const fn run(first: u64, count: u64) -> Run {
    Run { first, count }
}

#[test]
fn accepts_one_chunk_at_a_time_and_never_twice() {
    let (mut storage, mut memory, mut runs) = (storage(2048), Fake::default(), Vec::new());
    let mut frames = Frames::new(&mut storage, 2048).unwrap();
    frames.add(600, 1000).unwrap();
    assert!(
        memory.0.is_empty(),
        "nothing is kept of what is not accepted"
    );
    for _ in 0..500 {
        let _frame = frame(&mut frames, &mut memory, &mut runs).unwrap();
    }
    assert_eq!(runs, [run(600, 424), run(1024, 512)]);
    assert_eq!((frames.accepted(), frames.usable()), (936, 1000));
}

#[test]
fn a_claim_that_is_not_settled_gives_no_frame() {
    let (mut storage, mut memory) = (storage(1024), Fake::default());
    let mut frames = Frames::new(&mut storage, 1024).unwrap();
    frames.add(0, 1024).unwrap();
    let claim = frames.claim(1).unwrap();
    assert_eq!(claim.run(), run(0, 512));
    assert_eq!(frames.take(&mut memory), None);
    assert_eq!(frames.accepted(), 0);
    let other = frames.claim(5).unwrap();
    assert_eq!(other.run(), run(512, 512));
    assert_eq!(frames.claim(1), None);
    // The later one comes first; the earlier one is found nevertheless.
    frames.settle(&mut memory, other).unwrap();
    assert_eq!(frames.take(&mut memory).unwrap().address(), 512 * 4096);
    frames.settle(&mut memory, claim).unwrap();
    assert_eq!(frames.take(&mut memory).unwrap().address(), 0);
}

#[test]
fn a_batch_is_of_whole_chunks_of_one_range() {
    let mut storage = storage(1 << 18);
    let mut frames = Frames::new(&mut storage, 1 << 18).unwrap();
    frames.add(1536 + 7, 512 * 300).unwrap();
    frames.add(1 << 17 << 1, 4096).unwrap();
    let mut claim = |most| frames.claim(most).map(|claim| claim.run());
    assert_eq!(claim(253), Some(run(1536, 512)), "its first part alone");
    assert_eq!(claim(253), Some(run(2048, 253 * 512)));
    assert_eq!(claim(253), Some(run(254 * 512 + 1536, 46 * 512)));
    assert_eq!(
        claim(253),
        Some(run(300 * 512 + 1536, 512)),
        "its last part"
    );
    assert_eq!(claim(253), None, "what is above the limit is nothing");
}

#[test]
fn frames_that_nobody_has_do_not_come_back() {
    let (mut storage, mut memory) = (storage(2048), Fake::default());
    let mut frames = Frames::new(&mut storage, 2048).unwrap();
    frames.add(1024, 1024).unwrap();
    frames.give(&mut memory, 10, 2).unwrap();
    let kept = frames.take(&mut memory).unwrap().keep();
    assert!(frames.free_kept(&mut memory, kept));
    for bad in [kept, 1024 * 4096, 4096 << 20] {
        assert!(!frames.free_kept(&mut memory, bad), "{bad:#x}");
    }
}

#[test]
fn storage_too_small_is_an_error() {
    let too_small = Some(Error::StorageTooSmall);
    assert_eq!(Frames::new(&mut [0; 2], 64).err(), too_small);
    let mut storage = [0; 5];
    let mut frames = Frames::new(&mut storage, 64).unwrap();
    assert_eq!(frames.add(0, 8), Ok(()));
    assert_eq!(frames.add(8, 8).err(), too_small);
}

/// The project's limit is 2 MiB and 0.2 % of RAM for all that the kernel uses: of the part without the
/// 2 MiB, bits and the direct map's tables may take a tenth here, and only of what was accepted.
#[test]
fn bookkeeping_grows_with_acceptance_and_stays_small() {
    const FRAMES: u64 = 64 << 30 >> 12;
    let (mut storage, mut memory) = (storage(FRAMES), Fake::default());
    let tables = Tables::new(&mut memory, PageBits::default()).unwrap();
    let mut frames = Frames::new(&mut storage, FRAMES).unwrap();
    frames.add(0, FRAMES).unwrap();
    while let Some(claim) = frames.claim(1) {
        let at = claim.run().first * PAGE_SIZE;
        let write = Mapping::kernel(Access::Write);
        tables.map(&mut memory, at, at, Size::Large, write).unwrap();
        frames.settle(&mut memory, claim).unwrap();
        let part = frames.accepted() / 5_000;
        let pages = memory.0.len() as u64;
        assert!(pages <= 4 + part, "{pages} pages for {}", frames.accepted());
    }
    assert_eq!(frames.accepted(), FRAMES);
    assert!(storage_words(FRAMES, 128) * 8 <= 4 * PAGE_SIZE);
}

proptest! {
    #[test]
    fn no_frame_twice_and_none_lost(
        first in 0u64..700,
        count in 1u64..1500,
        ops in prop::collection::vec((any::<bool>(), 1usize..200), 1..60),
    ) {
        let (mut storage, mut memory) = (storage(2560), Fake::default());
        let mut frames = Frames::new(&mut storage, 2560).unwrap();
        frames.add(first, count).unwrap();
        let (mut held, mut accepted) = (Vec::new(), BTreeSet::new());
        for (take, times) in ops {
            for _ in 0..times {
                let mut runs = Vec::new();
                if !take {
                    if !held.is_empty() {
                        frames.free(&mut memory, held.swap_remove(times % held.len()));
                    }
                    continue;
                }
                let got = frame(&mut frames, &mut memory, &mut runs);
                for f in runs.iter().flat_map(|run| run.first..run.end()) {
                    prop_assert!(accepted.insert(f), "frame {f} accepted twice");
                }
                match got {
                    Some(frame) => {
                        prop_assert!((first..first + count).contains(&(frame.address() / 4096)));
                        prop_assert!(!held.contains(&frame));
                        held.push(frame);
                    }
                    None => prop_assert_eq!(held.len() as u64, count),
                }
            }
        }
        prop_assert_eq!(frames.accepted(), accepted.len() as u64);
    }
}
