//! What several processors must keep: threads run at the same time, a page that is taken away is
//! gone everywhere before it is anybody else's, a process that is ended runs nowhere. Nothing is tried
//! where there is one processor.
#![allow(unsafe_code)] // code for another process, memory shared with it, threads on stacks of this program

use crate::changing;
use core::arch::naked_asm;
use core::fmt::Write;
use core::sync::atomic::{AtomicU64, Ordering};
use tessera_abi::error::Error;
use tessera_abi::number::{MAP_EXECUTE, MAP_READ, MAP_WRITE, STATUS_FAULTED, STATUS_KILLED, UNMAP};
use tessera_runtime::console::Console;
use tessera_runtime::handle::Handle;
use tessera_runtime::ipc::{self, Message, Received};
use tessera_runtime::{process, system};

/// Processors of the kernel at most.
const MOST: usize = 8;
/// Looks at what another processor has to do, before it counts as not done.
const LOOKS: u64 = 1 << 32;
/// Rounds of the tests of other processes.
const ROUNDS: u64 = 20;
const PAGE_FAULT: u64 = 14;
/// Microseconds that an end may take.
const PATIENCE: u32 = 20_000_000;

/// How many failed.
pub fn run() -> u64 {
    let number = system::info().map_or(1, |info| info.processors as usize);
    if number == 1 {
        return 0;
    }
    let before = process::usage(Handle::NONE);
    let results = [
        ("threads at the same time", at_once(number)),
        ("a page that is taken away", rounds(taken_away)),
        ("a process that is ended", rounds(ended)),
    ];
    let mut failed = 0;
    for (name, result) in results.into_iter().chain(changing::run()) {
        if result != Ok(true) {
            let _unwritable = writeln!(Console, "init: check failed: {name}: {result:?}");
            failed += 1;
        }
    }
    let after = process::usage(Handle::NONE);
    if before != after {
        let _unwritable = writeln!(Console, "init: check failed: {before:?}, then {after:?}");
        failed += 1;
    }
    let _unwritable = writeln!(
        Console,
        "init: {number} processors at work, {failed} failed"
    );
    failed
}

pub fn rounds(test: fn(u64) -> Result<bool, Error>) -> Result<bool, Error> {
    for round in 0..ROUNDS {
        if !test(round)? {
            let _unwritable = writeln!(Console, "init: round {round}");
            return Ok(false);
        }
    }
    Ok(true)
}

/// Waits without a system call, so that this processor does nothing else; false after `LOOKS`.
pub fn wait(done: impl Fn() -> bool) -> bool {
    (0..LOOKS).any(|_| {
        core::hint::spin_loop();
        done()
    })
}

#[repr(C, align(16))]
struct Stack([u8; 4096]);
static mut STACKS: [Stack; MOST] = [const { Stack([0; 4096]) }; MOST];
static HERE: AtomicU64 = AtomicU64::new(0);

extern "sysv64" fn comes(_: u64) -> ! {
    HERE.fetch_add(1, Ordering::Relaxed);
    loop {
        core::hint::spin_loop();
    }
}

/// Threads of unequal priority that never wait, and this one above them: each needs a processor of
/// its own to come at all.
fn at_once(number: usize) -> Result<bool, Error> {
    let mut threads = [Handle::NONE; MOST];
    let others = &mut threads[1..number];
    for (n, thread) in others.iter_mut().enumerate() {
        let stack = &raw const STACKS as u64 + ((n + 1) * size_of::<Stack>()) as u64;
        // SAFETY: a stack for this thread alone.
        *thread = unsafe { process::start_here(comes, stack, (2 + n) as u8, 0)? };
    }
    let all = wait(|| HERE.load(Ordering::Relaxed) == number as u64 - 1);
    for thread in others {
        process::kill(*thread)?;
        thread.close()?;
    }
    Ok(all)
}

const CODE: u64 = 0x40_0000;
const DATA: u64 = 0x50_0000;
const COUNTS: u64 = 0x60_0000;
/// Where this process has the same.
const HERE_CODE: u64 = 0x3000_0000_0000;
const HERE_DATA: u64 = HERE_CODE + 0x10_0000;
const HERE_COUNTS: u64 = HERE_CODE + 0x20_0000;
const PATTERN: u32 = 0x5465_7373;

/// Another process' code, which is copied: reads the word at `DATA` and counts at `COUNTS` how often
/// it is the pattern. Another value goes to the word behind the count, and ends it.
#[unsafe(naked)]
extern "C" fn reader() {
    naked_asm!(
        "2: mov eax, [{data}]",
        "cmp eax, {pattern}",
        "jne 3f",
        "inc qword ptr [{counts}]",
        "jmp 2b",
        "3: mov [{counts} + 8], eax",
        "ud2",
        data = const DATA,
        counts = const COUNTS,
        pattern = const PATTERN,
    )
}
/// More bytes than it has.
const READER: usize = 64;

/// A process that reads, on another processor.
struct Reader {
    space: Handle,
    ended: Handle,
    regions: [Handle; 3],
}

impl Reader {
    /// Starts it, and waits until it has counted.
    fn new() -> Result<Self, Error> {
        let ended = Handle::notification()?;
        let space = process::create(32, ended, 1, "reader")?;
        let places = [
            (CODE, MAP_EXECUTE, HERE_CODE),
            (DATA, MAP_READ, HERE_DATA),
            (COUNTS, MAP_WRITE, HERE_COUNTS),
        ];
        let mut regions = [Handle::NONE; 3];
        for (region, (there, access, here)) in regions.iter_mut().zip(places) {
            *region = process::region(1, Handle::NONE)?;
            // SAFETY: nothing of this program stands there.
            unsafe { process::map(*region, here, MAP_WRITE)? }
            if access != MAP_EXECUTE {
                process::map_into(space, *region, there, access)?;
            }
        }
        // SAFETY: the regions were mapped just now; the code is a function of this program, longer than
        // which it may be read, because functions of this program follow it or padding does.
        unsafe {
            let code = reader as *const () as *const u8;
            core::ptr::copy_nonoverlapping(code, HERE_CODE as *mut u8, READER);
            (HERE_DATA as *mut u32).write_volatile(PATTERN);
            // What somebody may write is nobody's code.
            process::unmap(HERE_CODE)?;
        }
        process::map_into(space, regions[0], CODE, MAP_EXECUTE)?;
        process::start(space, CODE, COUNTS + 4096, 5, 0).and_then(Handle::close)?;
        let reader = Self {
            space,
            ended,
            regions,
        };
        match wait(|| reader.count() > 100) {
            true => Ok(reader),
            false => Err(Error::TimedOut),
        }
    }

    fn count(&self) -> u64 {
        // SAFETY: the shared region, which stays mapped here.
        unsafe { (HERE_COUNTS as *const u64).read_volatile() }
    }

    fn other_value(&self) -> u64 {
        // SAFETY: as above.
        unsafe { ((HERE_COUNTS + 8) as *const u64).read_volatile() }
    }

    /// Waits for its end, and takes everything back; how it ended, and its last count.
    fn finish(self) -> Result<(u64, u64), Error> {
        let mut message = Message::default();
        let told = ipc::receive(self.ended, &mut message, PATIENCE)?;
        let status = process::status(self.space)?;
        let last = match self.other_value() {
            0 => self.count(),
            other => {
                let _unwritable = writeln!(Console, "init: the reader saw {other:#x}");
                return Ok((0, 0));
            }
        };
        for (region, here) in self
            .regions
            .into_iter()
            .zip([HERE_CODE, HERE_DATA, HERE_COUNTS])
        {
            // The code was unmapped before it ran, and the data where its page was taken away.
            // SAFETY: nothing uses it any more.
            let _gone = unsafe { process::unmap(here) };
            let _gone = region.close();
        }
        self.space.close()?;
        self.ended.close()?;
        match told {
            Received::Notified(1) => Ok((status, last)),
            _ => Err(Error::PeerDied),
        }
    }
}

/// Takes a page away from a process that reads it, and gives its frame to somebody else at once.
fn taken_away(round: u64) -> Result<bool, Error> {
    let reader = Reader::new()?;
    // SAFETY: another process' mapping.
    unsafe { system::raw(UNMAP, [reader.space.number().into(), DATA, 0, 0, 0, 0])? };
    let after = reader.count();
    // SAFETY: nothing uses it any more.
    unsafe { process::unmap(HERE_DATA)? }
    reader.regions[1].close()?;
    // Its frame is the first one that is free.
    let next = process::region(1, Handle::NONE)?;
    // SAFETY: as above; the region was mapped just now.
    unsafe {
        process::map(next, HERE_DATA, MAP_WRITE)?;
        (HERE_DATA as *mut u64).write_volatile(0xDEAD_0000 + round);
    }
    next.close()?;
    let (status, last) = reader.finish()?;
    // A reading before the end may be counted after it.
    Ok(status == STATUS_FAULTED + PAGE_FAULT && last <= after + 1)
}

/// Ends a process that runs on another processor.
fn ended(_: u64) -> Result<bool, Error> {
    let reader = Reader::new()?;
    process::kill(reader.space)?;
    let after = reader.count();
    let silent = !(0..100_000).any(|_| reader.count() != after);
    Ok(reader.finish()? == (STATUS_KILLED, after) && silent)
}
