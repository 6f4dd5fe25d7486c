//! The first process of `tessera bench`: counts what the kernel's paths cost, by the time-stamp
//! counter, which counts instructions where QEMU does. Prints one line a figure.
#![no_std]
#![no_main]
#![allow(unsafe_code)] // reads the counter; its first instruction is a reading

use core::arch::{asm, global_asm};
use core::fmt::Write;
use tessera_abi::error::Error;
use tessera_abi::number::MAP_WRITE;
use tessera_abi::rights;
use tessera_runtime::console::Console;
use tessera_runtime::handle::Handle;
use tessera_runtime::ipc::{self, Message};
use tessera_runtime::{loader, process, system, time};

/// Samples of a figure; the least one counts: nothing interrupted it.
const SAMPLES: u32 = 400;
/// Time stamps in which the timer's interrupts come ten times.
const INTERRUPTED: u64 = 32_000_000;
/// Priority of the server and of the yielding threads, above which this thread is.
const PRIORITY: u8 = 10;

// RDI: length of the bundle. RSI: the counter at the first user instruction. CPUID leaves every
// guest: a host that counts until ring 3 is left first sees the end of the boot.
global_asm!(
    ".global _start",
    "_start:",
    "rdtsc",
    "shl rdx, 32",
    "lea rsi, [rax + rdx]",
    "xor eax, eax",
    "xor ecx, ecx",
    "cpuid",
    "jmp {main}",
    main = sym main,
);

#[panic_handler]
fn panic(info: &core::panic::PanicInfo<'_>) -> ! {
    let _unwritable = writeln!(Console, "bench: panic: {info}");
    system::exit(101)
}

extern "sysv64" fn main(bundle: u64, start: u64) -> ! {
    say("boot-to-user", start);
    let result = run(bundle);
    if let Err(error) = result {
        let _unwritable = writeln!(Console, "bench: failed: {error:?}");
    }
    system::exit(u64::from(result.is_err()))
}

fn say(figure: &str, value: u64) {
    let _unwritable = writeln!(Console, "bench: {figure} {value}");
}

#[inline(always)]
fn stamp() -> u64 {
    let (low, high): (u64, u64);
    // SAFETY: reads the counter.
    unsafe {
        asm!("rdtsc", out("rax") low, out("rdx") high, options(nomem, nostack, preserves_flags))
    }
    high << 32 | low
}

/// Leaves the guest: for whoever counts what serves that.
fn leave() {
    core::hint::black_box(core::arch::x86_64::__cpuid(0));
}

/// Is interrupted by the timer some times: for whoever counts what serves that.
fn be_interrupted() {
    let start = stamp();
    while stamp() - start < INTERRUPTED {}
}

/// The least count of `act`, without that of the readings themselves.
#[inline(always)]
fn least(mut act: impl FnMut()) -> u64 {
    let mut least = u64::MAX;
    for _ in 0..SAMPLES {
        let before = stamp();
        act();
        least = least.min(stamp() - before);
    }
    least
}

fn run(bundle: u64) -> Result<(), Error> {
    let empty = least(|| {});
    say(
        "null-syscall",
        least(|| {
            system::null();
        }) - empty,
    );
    page_faults(empty)?;
    (0..SAMPLES).for_each(|_| leave());
    be_interrupted();
    messages(bundle, empty)?;
    pager_faults(bundle, empty)?;
    switches(empty)
}

/// Where regions are touched, and how many pages they have.
const TOUCHED: u64 = 0x10_0000_0000;
const TOUCHED_PAGES: u64 = 512;

/// The least count of the first touch of a page of a region, which is mapped here.
fn touches(region: Handle, empty: u64) -> Result<u64, Error> {
    // SAFETY: an address that nothing else of this process uses.
    unsafe { process::map(region, TOUCHED, MAP_WRITE)? };
    let mut page = TOUCHED as *mut u64;
    let count = least(|| {
        // SAFETY: as above; there are more pages than samples.
        unsafe {
            page.write_volatile(7);
            page = page.add(512);
        }
    });
    // SAFETY: nothing uses it any more.
    unsafe { process::unmap(TOUCHED)? };
    region.close()?;
    Ok(count - empty)
}

fn page_faults(empty: u64) -> Result<(), Error> {
    let region = process::region(TOUCHED_PAGES, Handle::NONE)?;
    say("page-fault", touches(region, empty)?);
    Ok(())
}

/// A pager in another process brings each page from a region of its own.
fn pager_faults(bundle: u64, empty: u64) -> Result<(), Error> {
    let (space, pager) = server(bundle, 2, 1024)?;
    let region = process::region_of(TOUCHED_PAGES, Handle::NONE, pager)?;
    say("pager-fault", touches(region, empty)?);
    process::kill(space)
}

/// Starts the program of a number; its process, and a handle to call it by. It receives already.
fn server(bundle: u64, number: usize, quota: u64) -> Result<(Handle, Handle), Error> {
    let bundle = loader::bundle(bundle).ok_or(Error::BadArgument)?;
    let file = bundle.file(number).ok_or(Error::BadArgument)?;
    let space = process::create(quota, Handle::NONE, 0, "server")?;
    let (entry, stack) = loader::load(space, file)?;
    let endpoint = Handle::endpoint()?;
    process::give(space, endpoint, rights::RECEIVE, 0)?;
    let caller = endpoint.duplicate(rights::SEND, 9)?;
    process::start(space, entry, stack, PRIORITY, 0)?;
    ipc::call_word(caller, 0, 0)?;
    Ok((space, caller))
}

fn messages(bundle: u64, empty: u64) -> Result<(), Error> {
    let (space, caller) = server(bundle, 1, 64)?;
    let mut failed = Ok(());
    let round = least(|| failed = failed.and(ipc::call_word(caller, 1, 7).map(|_| ())));
    say("ipc-round-trip", round - empty);
    failed?;
    one_way(caller, empty)?;
    process::kill(space)
}

/// The sender's reading travels with the message, the receiver takes the difference.
fn one_way(caller: Handle, empty: u64) -> Result<(), Error> {
    let (mut call, mut reply, mut payload, mut back) = (u64::MAX, u64::MAX, u64::MAX, u64::MAX);
    for _ in 0..SAMPLES {
        // Label 2: answers the count of the way there. 3: answers the reading of the way back.
        call = call.min(ipc::call_word(caller, 2, stamp())?);
        let sent = ipc::call_word(caller, 3, 0)?;
        reply = reply.min(stamp() - sent);
        // The first one finds the server waiting for a short message, the second one for all.
        payload_once(caller)?;
        let (there, again) = payload_once(caller)?;
        payload = payload.min(there);
        back = back.min(again);
    }
    say("ipc-call", call - empty);
    say("ipc-reply-receive", reply - empty);
    say("ipc-80-bytes", payload - empty);
    say("ipc-80-bytes-back", back - empty);
    Ok(())
}

/// Ten words from memory to memory, and back; the count of each way.
#[inline(always)]
fn payload_once(caller: Handle) -> Result<(u64, u64), Error> {
    let mut message = Message {
        tag: 4,
        words: [5; 10],
    };
    message.words[0] = stamp();
    let answered = ipc::call(caller, &mut message, 0);
    let back = stamp() - message.words[1];
    let whole = message.words[2..] == [6; 8];
    answered?;
    if !whole {
        return Err(Error::TooShort);
    }
    Ok((message.words[0], back))
}

#[repr(C, align(16))]
struct Stack([u8; 4096]);
static mut STACK: Stack = Stack([0; 4096]);

extern "sysv64" fn other(_: u64) -> ! {
    loop {
        time::yield_now();
    }
}

/// Two threads of one process and priority that yield: there and back is two switches.
fn switches(empty: u64) -> Result<(), Error> {
    let top = &raw const STACK as u64 + 4096;
    // This thread's own priority, so that a yield reaches the other one.
    let own = tessera_abi::number::PRIORITY_MAX;
    // SAFETY: a stack for this thread alone.
    let thread = unsafe { process::start_here(other, top, own, 0)? };
    time::yield_now();
    say(
        "thread-switch",
        (least(|| {
            time::yield_now();
        }) - empty)
            / 2,
    );
    process::kill(thread)
}
