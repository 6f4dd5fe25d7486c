//! What threads of one process must be able to rely on: messages, preemption with vector
//! registers and TLS kept, timeouts, priorities.
#![allow(unsafe_code)] // starts threads on stacks of this program, uses vector registers

use core::arch::asm;
use core::arch::x86_64::{__cpuid, _rdtsc};
use core::fmt::Write;
use core::sync::atomic::{AtomicU64, Ordering};
use tessera_abi::error::Error;
use tessera_abi::info::CLOCK_HARDWARE;
use tessera_abi::{message, rights};
use tessera_runtime::console::Console;
use tessera_runtime::handle::Handle;
use tessera_runtime::ipc::{self, Message, Received};
use tessera_runtime::{process, system, time};

const STACK: usize = 4096;
const PRIORITY: u8 = 10;

#[repr(C, align(16))]
struct Stack([u8; STACK]);
static mut STACKS: [Stack; MOST] = [const { Stack([0; STACK]) }; MOST];
/// Threads at most.
const MOST: usize = 9;

/// Starts a thread on the `n`-th stack. Errors: those of the call.
pub fn start(
    n: usize,
    entry: extern "sysv64" fn(u64) -> !,
    priority: u8,
    argument: u64,
) -> Result<Handle, Error> {
    let stack = &raw const STACKS as u64 + ((n + 1) * STACK) as u64;
    // SAFETY: each stack is one thread's at a time: the tests run one after the other and end
    // their threads.
    unsafe { process::start_here(entry, stack, priority, argument) }
}

/// A test: whether all was as it must be, or what a call said that should not fail.
pub type Test = fn() -> Result<bool, Error>;

/// Runs every test; how many failed.
pub fn run(timer: bool) -> u64 {
    let before = process::usage(Handle::NONE);
    let tests: [(&str, bool, Test); 6] = [
        ("messages", false, messages),
        ("moved handles", false, moved),
        ("vector registers", true, vectors),
        ("timeouts", true, timeouts),
        ("the clock", true, clock),
        ("a bound notification", false, bound),
    ];
    let mut failed = 0;
    for (name, needs_timer, test) in tests {
        if needs_timer && !timer {
            continue;
        }
        let result = test();
        if result != Ok(true) || process::usage(Handle::NONE) != before {
            let _unwritable = writeln!(Console, "init: check failed: {name}: {result:?}");
            failed += 1;
        }
    }
    failed
}

/// Answers each message with its words plus one and the badge in the label.
extern "sysv64" fn echo(endpoint: u64) -> ! {
    let endpoint = Handle::from_number(endpoint as u32);
    let mut message = Message::default();
    let mut received = ipc::receive(endpoint, &mut message, 0);
    loop {
        let Ok(Received::Message(badge)) = received else {
            system::exit(99)
        };
        for word in &mut message.words {
            *word = word.wrapping_add(1);
        }
        message.tag = message::tag(badge as u32, 0);
        received = ipc::reply_receive(endpoint, &mut message, 0);
    }
}

fn messages() -> Result<bool, Error> {
    let endpoint = Handle::endpoint()?;
    let caller = endpoint.duplicate(rights::SEND, 77)?;
    let server = start(0, echo, PRIORITY, endpoint.number().into())?;
    let mut good = true;
    for round in 0..20 {
        let words = core::array::from_fn(|n| round * 100 + n as u64);
        let mut answer = Message { tag: 5, words };
        ipc::call(caller, &mut answer, 0)?;
        good &= answer.tag == 77 && answer.words == words.map(|word| word + 1);
        good &= ipc::call_word(caller, 1, round)? == round + 1;
    }
    process::kill(server)?;
    good &= ipc::call(caller, &mut Message::default(), 1) == Err(Error::TimedOut);
    for handle in [server, caller, endpoint] {
        handle.close()?;
    }
    Ok(good)
}

/// Receives one handle and signals it.
extern "sysv64" fn signaller(endpoint: u64) -> ! {
    let endpoint = Handle::from_number(endpoint as u32);
    let mut message = Message::default();
    if let Ok(Received::Message(_)) = ipc::receive(endpoint, &mut message, 0) {
        let handle = Handle::from_number(message::handle(message.tag));
        let done = handle.signal(0b1010).and_then(|()| handle.close());
        let words = [u64::from(done.is_ok()); message::WORDS];
        let _gone = ipc::reply(&Message { tag: 0, words });
    }
    let _end = ipc::receive(endpoint, &mut message, 0);
    system::exit(98)
}

fn moved() -> Result<bool, Error> {
    let (endpoint, notification) = (Handle::endpoint()?, Handle::notification()?);
    let server = start(0, signaller, PRIORITY, endpoint.number().into())?;
    let copy = notification.duplicate(rights::SEND | rights::TRANSFER, 0)?;
    let tag = message::tag(3, copy.number());
    let mut answer = Message {
        tag,
        ..Message::default()
    };
    ipc::call(endpoint, &mut answer, 0)?;
    let mut good = answer.words[0] == 1 && copy.signal(1) == Err(Error::BadHandle);
    good &= ipc::receive(notification, &mut answer, 0)? == Received::Notified(0b1010);
    process::kill(server)?;
    for handle in [server, endpoint, notification] {
        handle.close()?;
    }
    Ok(good)
}

static ROUNDS: [AtomicU64; MOST] = [const { AtomicU64::new(0) }; MOST];
static BROKEN: AtomicU64 = AtomicU64::new(0);

/// Keeps a pattern in XMM15 and at FS:0 and looks whether it is still there.
extern "sysv64" fn pattern(n: u64) -> ! {
    let mut tls = [n + 1; 2];
    // SAFETY: `tls` lives as long as the thread.
    if unsafe { system::set_tls(tls.as_mut_ptr() as u64) }.is_err() {
        BROKEN.fetch_add(1, Ordering::Relaxed);
    }
    // SAFETY: this target is compiled without vector registers: XMM15 is nobody else's.
    unsafe { asm!("movq xmm15, {}", in(reg) n + 1) }
    loop {
        let (vector, own): (u64, u64);
        // SAFETY: as above; FS:0 is `tls`.
        unsafe { asm!("movq {}, xmm15", "mov {}, fs:[0]", out(reg) vector, out(reg) own) }
        if vector != n + 1 || own != n + 1 {
            BROKEN.fetch_add(1, Ordering::Relaxed);
        }
        ROUNDS[n as usize].fetch_add(1, Ordering::Relaxed);
    }
}

/// One thread more of one priority than there are processors, and none ever yields: only preemption
/// lets all run, here or there.
fn vectors() -> Result<bool, Error> {
    let count = (system::info()?.processors as usize + 1).min(MOST);
    let mut all = [Handle::NONE; MOST];
    let threads = &mut all[..count];
    for (n, thread) in threads.iter_mut().enumerate() {
        *thread = start(n, pattern, PRIORITY, n as u64)?;
    }
    for _ in 0..8 * count {
        time::sleep(5_000)?;
        if ROUNDS[..count]
            .iter()
            .all(|rounds| rounds.load(Ordering::Relaxed) > 1)
        {
            break;
        }
    }
    for thread in threads {
        process::kill(*thread)?;
        thread.close()?;
    }
    let ran = ROUNDS[..count]
        .iter()
        .all(|rounds| rounds.load(Ordering::Relaxed) > 1);
    let broken = BROKEN.load(Ordering::Relaxed);
    if broken != 0 || !ran {
        let rounds = ROUNDS
            .each_ref()
            .map(|rounds| rounds.load(Ordering::Relaxed));
        let _unwritable = writeln!(Console, "init: rounds {rounds:?}, {broken} broken");
    }
    Ok(ran && broken == 0)
}

fn timeouts() -> Result<bool, Error> {
    let endpoint = Handle::endpoint()?;
    let before = system::info()?.ticks;
    let mut good = ipc::receive(endpoint, &mut Message::default(), 4_000) == Err(Error::TimedOut);
    good &= ipc::call(endpoint, &mut Message::default(), 4_000) == Err(Error::TimedOut);
    good &= system::info()?.ticks >= before + 2;
    endpoint.close()?;
    Ok(good)
}

/// A clock that is the hardware's is measured with the time stamp, whatever the pace of timer interrupts; of
/// one that is the host's only itself can be asked. Which of them a mode has is for the reader of the last line.
fn clock() -> Result<bool, Error> {
    const SLEEP: u32 = 20_000;
    let before = system::info()?;
    // SAFETY: RDTSC is everybody's.
    let time = || unsafe { _rdtsc() };
    let start = time();
    time::sleep(SLEEP)?;
    let ticks = time() - start;
    let after = system::info()?;
    let mut good = after.now >= before.now + u64::from(SLEEP);
    if before.clock == CLOCK_HARDWARE {
        let leaf = __cpuid(0x15);
        let rate = u64::from(leaf.ecx) * u64::from(leaf.ebx) / u64::from(leaf.eax.max(1));
        good &= ticks * 1_000 >= rate / 1_000 * u64::from(SLEEP);
        if !good {
            let _unwritable = writeln!(Console, "init: slept {ticks} ticks at {rate} Hz");
        }
    }
    Ok(good)
}

extern "sysv64" fn rings(notification: u64) -> ! {
    let notification = Handle::from_number(notification as u32);
    let _gone = notification.signal(1 << 63);
    loop {
        time::yield_now();
    }
}

fn bound() -> Result<bool, Error> {
    let (endpoint, notification) = (Handle::endpoint()?, Handle::notification()?);
    notification.bind()?;
    let thread = start(0, rings, PRIORITY, notification.number().into())?;
    let good = ipc::receive(endpoint, &mut Message::default(), 0)? == Received::Notified(1 << 63);
    let powerless = thread.duplicate(0, 0)?;
    let good = good
        && powerless.cancel() == Err(Error::NoRight)
        && process::kill(powerless) == Err(Error::NoRight);
    Handle::NONE.bind()?;
    process::kill(thread)?;
    for handle in [thread, powerless, endpoint, notification] {
        handle.close()?;
    }
    Ok(good)
}
