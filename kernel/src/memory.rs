//! Frames and the kernel's tables. `sharing` is the one place where memory changes visibility.

mod sharing;

pub use sharing::{map_claim, map_registers, share, unshare};

use crate::boot::Boot;
use crate::{ahead, host, stacks, windows};
use core::sync::atomic::Ordering;
use spin::Mutex;
use tessera_defs::refusal::Refusal;
use tessera_handoff::layout::{
    BUNDLE_END, DIRECT_MAP, IMAGE_END, IMAGE_START, KERNEL_END, PARAVISOR_BASE, PARAVISOR_END,
    SHARED_MAP,
};
use tessera_hw::instr;
use tessera_isolation::strategy::traits::Pages;
use tessera_objects::frames::{CHUNK, Claim, Frame, Frames, GROUP, Run, storage_words};
use tessera_objects::system::cpu::CPUS;
use tessera_objects::tables::{Access, Mapping, PageBits, Size, TableMemory, Tables};

const PAGE: u64 = 4096;
/// Bytes that a level-3 table serves.
const TABLE_3: u64 = 1 << 39;
/// Pages that an acceptance may need for tables, at three levels, and for bits of frames.
const RESERVE: u64 = 4;
/// Virtual addresses of kernel and direct map share the upper half: entries 256..512.
pub const UPPER_HALF: core::ops::Range<usize> = 256..512;

/// What the kernel knows of memory.
pub struct Memory {
    /// Frames outside the image.
    pub frames: Frames<'static>,
    /// The kernel's tables.
    pub tables: Tables,
    pool: Pool,
    shared: u64,
    kernel: u64,
    /// What each processor accepts ahead.
    claims: [Option<Claim>; CPUS],
}

/// Pages for page tables and bits of frames: of the image, private and accepted since launch, then frames.
struct Pool {
    next: u64,
    end: u64,
    /// Frames that came later: the first of them, which names the next one, and how many.
    later: u64,
    count: u64,
}

impl Pool {
    const fn left(&self) -> u64 {
        (self.end - self.next) / PAGE + self.count
    }

    fn put(&mut self, frame: Frame) {
        let page = frame.keep();
        windows::write_word(page, self.later);
        self.later = page;
        self.count += 1;
    }
}

impl TableMemory for Pool {
    #[inline(always)]
    fn read(&self, table: u64, index: usize) -> u64 {
        windows::read_word(table + index as u64 * 8)
    }
    #[inline(always)]
    fn write(&mut self, table: u64, index: usize, entry: u64) {
        windows::write_word(table + index as u64 * 8, entry);
    }
    fn allocate(&mut self) -> Option<u64> {
        let page = if self.next < self.end {
            self.next += PAGE;
            self.next - PAGE
        } else {
            let page = self.later;
            self.count = self.count.checked_sub(1)?;
            self.later = windows::read_word(page);
            page
        };
        windows::zero_page(page);
        Some(page)
    }
}

static MEMORY: Mutex<Option<Memory>> = Mutex::new(None);

/// Page counts, for people.
#[derive(Clone, Copy)]
pub struct Counts {
    /// Usable pages.
    pub total: u64,
    /// Pages accepted, of those that the kernel has to give: since boot, or the room of a paravisor
    /// that does not run.
    pub accepted: u64,
    /// Pages shared now.
    pub shared: u64,
    /// Pages that the kernel itself uses: of the image, and frames.
    pub kernel: u64,
}

/// Takes over: drops the identity map, and gives usable RAM to the frame allocator.
pub fn install(boot: &Boot) {
    let bits = PageBits {
        private: boot.handoff.private_bits,
        shared: boot.handoff.shared_bits,
    };
    let root = instr::cr3() & 0x000F_FFFF_FFFF_F000 & !(bits.private | bits.shared);
    let tables = Tables { root, bits };
    let mut pool = Pool {
        next: boot.handoff.pool_next,
        end: boot.handoff.pool_end,
        later: 0,
        count: 0,
    };
    for index in 0..UPPER_HALF.start {
        pool.write(root, index, 0);
    }
    for guard in stacks::guards() {
        if tables.unmap(&mut pool, guard).is_err() {
            host::refuse(Refusal::HandoffInvalid);
        }
    }
    let usable = || boot.usable().filter(|(start, _)| *start >= IMAGE_START);
    // Three words serve 128 MiB, so a part of the pool is room for hundreds of GiB.
    let room = (pool.end - pool.next) / 8 / 3;
    let (ranges, top) = usable().fold((0, 0), |(n, top), (_, end)| (n + 1, end.max(top)));
    let count = (top / PAGE).min(room / 3 * GROUP);
    // Every process shares the kernel's half from its start on.
    for half in [DIRECT_MAP, SHARED_MAP] {
        for at in (0..(count * PAGE).max(1)).step_by(TABLE_3 as usize) {
            if tables.prepare(&mut pool, half + at).is_err() {
                host::refuse(Refusal::HandoffInvalid);
            }
        }
    }
    instr::flush_tlb();
    let storage = storage_words(count, ranges) as usize;
    pool.end -= (storage as u64 * 8).next_multiple_of(PAGE);
    let words = windows::physical_words(pool.end, storage);
    let Ok(mut frames) = Frames::new(words, count) else {
        host::refuse(Refusal::MemoryMapInvalid)
    };
    for (start, end) in usable() {
        log::debug!("memory: {start:#x} to {end:#x} is usable");
        if frames.add(start / PAGE, (end - start) / PAGE).is_err() {
            host::refuse(Refusal::MemoryMapInvalid);
        }
    }
    let shared = boot.handoff.private_bits.min(1);
    *MEMORY.lock() = Some(Memory {
        frames,
        tables,
        pool,
        shared,
        kernel: (PARAVISOR_BASE - IMAGE_START) / PAGE,
        claims: [const { None }; CPUS],
    });
}

/// Gives what the image leaves free in the rooms of kernel and bundle to the allocator.
pub fn take_rooms(boot: &Boot) {
    let launch = &boot.handoff.launch;
    for (part, end) in [(&launch.kernel, KERNEL_END), (&launch.bundle, BUNDLE_END)] {
        let segments = part.segments.iter().map(|s| s.phys.saturating_add(s.len));
        let loaded = segments.fold(part.base.saturating_add(part.len), u64::max);
        let first = loaded.min(end).div_ceil(PAGE);
        with(|memory| memory.take(first, end / PAGE - first));
    }
}

/// Where no paravisor runs, its room is the kernel's: accepted and mapped since launch. After the
/// first frame of RAM, so that a host that withholds or swaps RAM is found out before that.
pub fn take_paravisor_room(boot: &Boot) {
    if boot.handoff.paravisor_below != 0 {
        return;
    }
    let (first, end) = (PARAVISOR_BASE / PAGE, PARAVISOR_END / PAGE);
    with(|memory| {
        memory.kernel += end - first;
        memory.take(first, end - first);
    });
}

/// Runs `f` with what the kernel knows of memory.
pub fn with<R>(f: impl FnOnce(&mut Memory) -> R) -> R {
    let mut guard = MEMORY.lock();
    let Some(memory) = guard.as_mut() else {
        host::refuse(Refusal::MemoryMapInvalid)
    };
    f(memory)
}

/// The same, unless another processor is at it: who has it may wait for this one's answer.
pub fn try_with<R>(f: impl FnOnce(&mut Memory) -> R) -> Option<R> {
    MEMORY.try_lock()?.as_mut().map(f)
}

/// Counts as they are now.
pub fn counts() -> Counts {
    with(|m| {
        m.collect();
        Counts {
            total: m.frames.usable(),
            accepted: m.frames.accepted(),
            shared: m.shared,
            kernel: m.kernel,
        }
    })
}

/// Idle processors accept until so many pages are accepted.
pub fn want(pages: u64) {
    ahead::WANTED.store(pages, Ordering::Relaxed);
}

/// A zeroed private frame. Out of memory or a host that withholds pages ends the boot.
pub fn frame() -> Frame {
    with(Memory::frame).unwrap_or_else(|| host::refuse(Refusal::MemoryTooSmall))
}

impl Memory {
    /// Frames of the image, mapped and accepted since launch, that nothing uses any more.
    fn take(&mut self, first: u64, count: u64) {
        if self.frames.give(&mut self.pool, first, count).is_err() {
            host::refuse(Refusal::MemoryTooSmall);
        }
        self.kernel -= count;
    }

    /// A zeroed private frame; `None` when there are no more. A host that withholds pages ends
    /// the guest.
    #[inline(always)]
    pub fn frame(&mut self) -> Option<Frame> {
        let frame = self.dirty_frame()?;
        windows::zero_page(frame.address());
        Some(frame)
    }

    /// The same as a copy of the page at `from`.
    pub fn copy(&mut self, from: u64) -> Option<Frame> {
        let frame = self.dirty_frame()?;
        windows::copy_page(from, frame.address());
        Some(frame)
    }

    /// A frame with whatever it had.
    #[inline(never)]
    fn dirty_frame(&mut self) -> Option<Frame> {
        match self.frames.take(&mut self.pool) {
            Some(frame) => Some(frame),
            None => self.accept_more(),
        }
    }

    /// Accepts the next chunk; a frame of it. `None` when there are no more.
    #[cold]
    #[inline(never)]
    fn accept_more(&mut self) -> Option<Frame> {
        loop {
            match self.frames.claim(1) {
                Some(claim) => self.accept_now(claim)?,
                None if self.collect() => core::hint::spin_loop(),
                None => return None,
            }
            if let Some(frame) = self.frames.take(&mut self.pool) {
                return Some(frame);
            }
        }
    }

    /// Accepts a claim, at once. `None` where there is no memory for its bits.
    fn accept_now(&mut self, claim: Claim) -> Option<()> {
        let Self {
            frames,
            tables,
            pool,
            ..
        } = self;
        let done = frames.runs(&claim).try_for_each(|run| {
            map_run(tables, pool, run)?;
            host::visibility(|strategy| strategy.accept(pages(run)))
        });
        if let Err(refusal) = done {
            host::refuse(refusal);
        }
        frames.settle(pool, claim).ok()?;
        self.top_up(RESERVE);
        Some(())
    }

    /// Settles what other processors have accepted ahead; whether any was at it.
    fn collect(&mut self) -> bool {
        let mut any = false;
        for number in 0..CPUS {
            any |= self.claims[number].is_some();
            if ahead::done(number)
                && let Some(claim) = self.claims[number].take()
                && self.frames.settle(&mut self.pool, claim).is_err()
            {
                host::refuse(Refusal::MemoryTooSmall);
            }
        }
        any
    }

    /// A run of whole chunks for a processor to accept ahead, mapped, of `most` chunks at most and until
    /// `wanted` pages are accepted. `None`: none is to be accepted.
    pub fn claim_ahead(&mut self, number: usize, most: u64, wanted: u64) -> Option<Run> {
        loop {
            self.collect();
            let claims = self.claims.iter().flatten();
            let claimed: u64 = claims.map(|claim| claim.run().count).sum();
            let left = wanted.saturating_sub(self.frames.accepted() + claimed);
            if left == 0 {
                return None;
            }
            self.top_up(RESERVE * 4);
            let claim = self.frames.claim(most.min(left.div_ceil(CHUNK)))?;
            if self.frames.runs(&claim).next() != Some(claim.run()) {
                self.accept_now(claim)?;
                continue;
            }
            let run = claim.run();
            let Self {
                frames,
                tables,
                pool,
                ..
            } = self;
            if frames.prepare_for(pool, &claim).is_err() || map_run(tables, pool, run).is_err() {
                host::refuse(Refusal::MemoryTooSmall);
            }
            self.claims[number] = Some(claim);
            return Some(run);
        }
    }

    /// Takes a frame back by its address. False for one that nobody has.
    pub fn free_kept(&mut self, address: u64) -> bool {
        self.frames.free_kept(&mut self.pool, address)
    }

    /// Gives the pool frames until it has `pages`, or until there are none.
    #[inline(never)]
    fn top_up(&mut self, pages: u64) {
        while self.pool.left() < pages {
            let Some(frame) = self.dirty_frame() else {
                return;
            };
            self.pool.put(frame);
            self.kernel += 1;
        }
    }

    /// Maps a small page. Errors: no memory is left for tables.
    #[inline(never)]
    fn map(&mut self, virt: u64, gpa: u64, mapping: Mapping) -> Result<(), Refusal> {
        self.top_up(RESERVE * 2);
        let Memory { tables, pool, .. } = self;
        tables
            .map(pool, virt, gpa, Size::Small, mapping)
            .map_err(|_| Refusal::MemoryTooSmall)
    }
}

impl Memory {
    /// Maps fresh zeroed pages for the kernel, for good. `None` when there are no more.
    pub fn map_pages(&mut self, virt: u64, pages: u64) -> Option<()> {
        for page in 0..pages {
            let gpa = self.frame()?.keep();
            let write = Mapping::kernel(Access::Write);
            self.map(virt + page * PAGE, gpa, write).ok()?;
        }
        Some(())
    }

    /// Maps private pages beside all RAM in the direct map, for good. `None` where tables are used up.
    pub fn map_beside(&mut self, gpa: u64, pages: u64) -> Option<()> {
        let write = Mapping::kernel(Access::Write);
        let mut all = (gpa..gpa + pages * PAGE).step_by(PAGE as usize);
        all.try_for_each(|page| self.map(DIRECT_MAP + page, page, write).ok())
    }

    /// Maps a page of memory below the image, which the frame allocator does not have, while `act`
    /// writes it. `None` where tables are used up.
    pub fn borrow_low(&mut self, gpa: u64, act: impl FnOnce(u64)) -> Option<()> {
        let virt = DIRECT_MAP + gpa;
        self.map(virt, gpa, Mapping::kernel(Access::Write)).ok()?;
        act(gpa);
        self.tables.unmap(&mut self.pool, virt).ok()?;
        instr::invlpg(virt);
        Some(())
    }
}

/// Gives a frame back.
pub fn free(frame: Frame) {
    with(|memory| memory.frames.free(&mut memory.pool, frame));
}

/// The pages of a run, as they are mapped.
pub fn pages(run: Run) -> Pages {
    let gpa = run.first * PAGE;
    Pages {
        gpa,
        virt: DIRECT_MAP + gpa,
        count: run.count,
    }
}

/// Maps a run that is to be accepted in the direct map, by 2 MiB where it can.
fn map_run(tables: &Tables, pool: &mut Pool, run: Run) -> Result<(), Refusal> {
    let Pages { gpa, virt, count } = pages(run);
    log::debug!("memory: accepts {count} pages at {gpa:#x}");
    let write = Mapping::kernel(Access::Write);
    tables
        .map_largest(pool, virt, gpa, count * PAGE, Size::Large, write)
        .map_err(|_| Refusal::MemoryTooSmall)
}

/// Whether `gpa..gpa + len` touches the image.
pub fn overlaps_image(gpa: u64, len: u64) -> bool {
    gpa < IMAGE_END && gpa.checked_add(len).is_none_or(|end| end > IMAGE_START)
}

/// Whether `gpa..gpa + len` is in the image, so that the direct map shows it.
pub fn in_image(gpa: u64, len: u64) -> bool {
    gpa >= IMAGE_START && gpa.checked_add(len).is_some_and(|end| end <= IMAGE_END)
}
