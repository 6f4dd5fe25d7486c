//! System calls with bad arguments: each must return its documented error.
#![allow(unsafe_code)] // calls that the kernel must refuse, with any arguments

use core::fmt::Write;
use tessera_abi::error::Error;
use tessera_abi::error::Error::*;
use tessera_abi::number::*;
use tessera_abi::{kind::Kind, message, rights};
use tessera_runtime::console::Console;
use tessera_runtime::handle::Handle;
use tessera_runtime::{process, system};

/// An address of the kernel's half.
const KERNEL: u64 = 0xFFFF_FFFF_8000_0000;
/// The last page of the user's half, which stays free.
const EDGE: u64 = 0x7FFF_FFFF_F000;
const POLLING: u64 = (POLL as u64) << 32;
/// An address where nothing is mapped.
const FREE: u64 = 0x20_0000_0000;
/// A number that is no handle of this process.
const OTHERS: u64 = 40;

const ENDPOINT: u64 = Kind::Endpoint as u64;
const REGION: u64 = Kind::Region as u64;
const SPACE: u64 = Kind::AddressSpace as u64;
const THREAD: u64 = Kind::Thread as u64;

type Check = (&'static str, u64, [u64; 6], Error);

/// One call that must fail in one way.
const fn check(name: &'static str, rax: u64, arguments: &[u64], error: Error) -> Check {
    let mut all = [0; 6];
    let mut n = 0;
    while n < arguments.len() {
        all[n] = arguments[n];
        n += 1;
    }
    (name, rax, all, error)
}

/// Handles to try things on.
struct Objects {
    endpoint: u64,
    notification: u64,
    region: u64,
    space: u64,
    /// Copies without any right.
    powerless: [u64; 4],
    badged: u64,
    closed: u64,
}

impl Objects {
    fn new() -> Result<Self, Error> {
        let endpoint = Handle::endpoint()?;
        let notification = Handle::notification()?;
        let region = process::region(1, Handle::NONE)?;
        let space = process::create(0, Handle::NONE, 0)?;
        let number = |handle: Handle| u64::from(handle.number());
        let powerless = |handle: Handle| handle.duplicate(0, 0).map(number);
        let closed = Handle::endpoint()?;
        closed.close()?;
        Ok(Self {
            endpoint: number(endpoint),
            notification: number(notification),
            region: number(region),
            space: number(space),
            powerless: [
                powerless(endpoint)?,
                powerless(notification)?,
                powerless(region)?,
                powerless(space)?,
            ],
            badged: number(endpoint.duplicate(rights::ALL, 5)?),
            closed: number(closed),
        })
    }

    /// Closes everything. Errors: what could not be closed.
    fn drop_all(self) -> Result<(), Error> {
        let own = [
            self.endpoint,
            self.notification,
            self.region,
            self.space,
            self.badged,
        ];
        own.iter()
            .chain(&self.powerless)
            .try_for_each(|handle| Handle::from_number(*handle as u32).close())
    }
}

/// Runs every check; how many failed.
pub fn run() -> u64 {
    let before = process::usage(Handle::NONE);
    let Ok(o) = Objects::new() else { return 1 };
    let text = "x".as_ptr() as u64;
    let mut failed = report(&of_memory(text));
    failed += report(&of_messages(&o));
    failed += report(&of_handles(&o));
    failed += report(&of_creation(&o));
    failed += report(&of_maps(&o, text));
    failed += full_table();
    let same = o.drop_all().is_ok() && process::usage(Handle::NONE) == before;
    failed + u64::from(!same)
}

fn report(checks: &[Check]) -> u64 {
    let wrong = |(name, rax, arguments, error): &&Check| {
        // SAFETY: the kernel must refuse each of these calls.
        let result = unsafe { system::raw(*rax, *arguments) };
        if result != Err(*error) {
            let _unwritable = writeln!(Console, "init: check failed: {name}: {result:?}");
        }
        result != Err(*error)
    };
    checks.iter().filter(wrong).count() as u64
}

fn of_memory(text: u64) -> [Check; 18] {
    [
        check("unknown call", 77, &[], UnknownCall),
        check("a negative call", u64::MAX, &[], UnknownCall),
        check("null with a timeout", timeout(NULL, 5), &[], UnknownCall),
        check("print from null", PRINT, &[0, 1], BadAddress),
        check("print from the kernel", PRINT, &[KERNEL, 1], BadAddress),
        check(
            "print nothing of the kernel",
            PRINT,
            &[KERNEL, 0],
            BadAddress,
        ),
        check(
            "print across the end",
            PRINT,
            &[u64::MAX - 1, 8],
            BadAddress,
        ),
        check("print of a hole", PRINT, &[FREE + 1, 3], BadAddress),
        check("print too long", PRINT, &[text, 1 << 40], TooLong),
        check("info to null", INFO, &[0, 64], BadAddress),
        check("info to the kernel", INFO, &[KERNEL, 64], BadAddress),
        check("info to read-only memory", INFO, &[text, 64], BadAddress),
        check("info too short", INFO, &[text, 8], TooShort),
        check("usage to null", USAGE, &[0, 0, 64], BadAddress),
        check(
            "usage to read-only memory",
            USAGE,
            &[0, text, 64],
            BadAddress,
        ),
        check("usage too short", USAGE, &[0, text, 31], TooShort),
        check("usage of nobody", USAGE, &[OTHERS, text, 64], BadHandle),
        check("TLS in the kernel", SET_TLS, &[KERNEL], BadAddress),
    ]
}

fn of_messages(o: &Objects) -> [Check; 32] {
    let wide = o.endpoint | 1 << 32;
    [
        check("call null", CALL, &[0], BadHandle),
        check("call nobody", CALL, &[OTHERS], BadHandle),
        check("call a closed handle", CALL, &[o.closed], BadHandle),
        check("call a wide handle", CALL, &[wide], BadHandle),
        check("call a notification", CALL, &[o.notification], WrongKind),
        check("call a region", CALL, &[o.region], WrongKind),
        check("call without right", CALL, &[o.powerless[0]], NoRight),
        check("call nobody there", CALL | POLLING, &[o.endpoint], TimedOut),
        check("call in time", timeout(CALL, 1), &[o.endpoint], TimedOut),
        check("call nobody shortly", CALL_SHORT, &[OTHERS], BadHandle),
        check(
            "call shortly without right",
            CALL_SHORT,
            &[o.powerless[0]],
            NoRight,
        ),
        check(
            "answer shortly, then null",
            REPLY_RECEIVE_SHORT,
            &[0],
            BadHandle,
        ),
        check(
            "answer shortly without right",
            REPLY_RECEIVE_SHORT,
            &[o.powerless[0]],
            NoRight,
        ),
        check("reply to nobody", REPLY, &[0], NoCaller),
        check("reply with a timeout", timeout(REPLY, 1), &[0], UnknownCall),
        check("receive from null", RECEIVE, &[0], BadHandle),
        check("receive from a region", RECEIVE, &[o.region], WrongKind),
        check("receive without right", RECEIVE, &[o.powerless[0]], NoRight),
        check("wait without right", RECEIVE, &[o.powerless[1]], NoRight),
        check(
            "receive nothing",
            RECEIVE | POLLING,
            &[o.endpoint],
            TimedOut,
        ),
        check(
            "wait for nothing",
            RECEIVE | POLLING,
            &[o.notification],
            TimedOut,
        ),
        check("answer, then null", REPLY_RECEIVE, &[0], BadHandle),
        check(
            "answer without right",
            REPLY_RECEIVE,
            &[o.powerless[0]],
            NoRight,
        ),
        check(
            "answer, then nothing",
            REPLY_RECEIVE | POLLING,
            &[o.endpoint],
            TimedOut,
        ),
        check("sleep for ever", SLEEP, &[], BadArgument),
        check("signal null", SIGNAL, &[0, 1], BadHandle),
        check("signal an endpoint", SIGNAL, &[o.endpoint, 1], WrongKind),
        check(
            "signal without right",
            SIGNAL,
            &[o.powerless[1], 1],
            NoRight,
        ),
        check("bind nobody", BIND, &[OTHERS], BadHandle),
        check("bind an endpoint", BIND, &[o.endpoint], WrongKind),
        check("bind without right", BIND, &[o.powerless[1]], NoRight),
        check("cancel an endpoint", CANCEL, &[o.endpoint], WrongKind),
    ]
}

fn of_handles(o: &Objects) -> [Check; 24] {
    let all = u64::from(rights::ALL);
    [
        check("duplicate null", DUPLICATE, &[0, all, 0], BadHandle),
        check(
            "duplicate with more rights",
            DUPLICATE,
            &[o.endpoint, 0x80, 0],
            NoRight,
        ),
        check(
            "duplicate with wide rights",
            DUPLICATE,
            &[o.endpoint, 1 << 40, 0],
            NoRight,
        ),
        check(
            "duplicate without right",
            DUPLICATE,
            &[o.powerless[0], 0, 0],
            NoRight,
        ),
        check(
            "a badge for a region",
            DUPLICATE,
            &[o.region, 0, 7],
            BadArgument,
        ),
        check("a second badge", DUPLICATE, &[o.badged, 0, 7], BadArgument),
        check("close null", CLOSE, &[0], BadHandle),
        check("close nobody", CLOSE, &[OTHERS], BadHandle),
        check("close twice", CLOSE, &[o.closed], BadHandle),
        check("revoke null", REVOKE, &[0], BadHandle),
        check("revoke without right", REVOKE, &[o.powerless[0]], NoRight),
        check("revoke a process", REVOKE, &[o.space], WrongKind),
        check("kill null", KILL, &[0], BadHandle),
        check("kill an endpoint", KILL, &[o.endpoint], WrongKind),
        check("kill without right", KILL, &[o.powerless[3]], NoRight),
        check("cancel null", CANCEL, &[0], BadHandle),
        check("status of null", STATUS, &[0], BadHandle),
        check("status of an endpoint", STATUS, &[o.endpoint], WrongKind),
        check("give to null", GIVE, &[0, o.endpoint, 0, 0], BadHandle),
        check(
            "give to an endpoint",
            GIVE,
            &[o.endpoint, o.endpoint, 0, 0],
            WrongKind,
        ),
        check(
            "give without right",
            GIVE,
            &[o.powerless[3], o.endpoint, 0, 0],
            NoRight,
        ),
        check("give null", GIVE, &[o.space, 0, 0, 0], BadHandle),
        check(
            "give what may not move",
            GIVE,
            &[o.space, o.powerless[0], 0, 0],
            NoRight,
        ),
        check(
            "give with more rights",
            GIVE,
            &[o.space, o.endpoint, 0xFF, 0],
            NoRight,
        ),
    ]
}

fn of_creation(o: &Objects) -> [Check; 22] {
    let wide = REGION_PAGES + 1;
    [
        check("create nothing", CREATE, &[0], BadArgument),
        check("create what is not", CREATE, &[99], BadArgument),
        check(
            "create the largest number",
            CREATE,
            &[u64::MAX],
            BadArgument,
        ),
        check(
            "create an interrupt",
            CREATE,
            &[Kind::Interrupt as u64],
            NotCreatable,
        ),
        check(
            "create a channel",
            CREATE,
            &[Kind::HostChannel as u64],
            NotCreatable,
        ),
        check(
            "create evidence",
            CREATE,
            &[Kind::Evidence as u64],
            NotCreatable,
        ),
        check(
            "create with a timeout",
            timeout(CREATE, 1),
            &[ENDPOINT],
            UnknownCall,
        ),
        check("an empty region", CREATE, &[REGION, 0, 0], BadArgument),
        check("a wide region", CREATE, &[REGION, wide, 0], BadArgument),
        check(
            "an endless region",
            CREATE,
            &[REGION, u64::MAX, 0],
            BadArgument,
        ),
        check(
            "a region of nobody",
            CREATE,
            &[REGION, 1, OTHERS],
            BadHandle,
        ),
        check(
            "a region of an endpoint",
            CREATE,
            &[REGION, 1, o.endpoint],
            WrongKind,
        ),
        check(
            "a region without right",
            CREATE,
            &[REGION, 1, o.powerless[3]],
            NoRight,
        ),
        check(
            "a region over quota",
            CREATE,
            &[REGION, 1, o.space],
            QuotaExceeded,
        ),
        check(
            "a process over quota",
            CREATE,
            &[SPACE, u64::MAX, 0, 0],
            QuotaExceeded,
        ),
        check(
            "a process watched by nobody",
            CREATE,
            &[SPACE, 0, OTHERS, 0],
            BadHandle,
        ),
        check(
            "a process watched by a region",
            CREATE,
            &[SPACE, 0, o.region, 0],
            WrongKind,
        ),
        check(
            "a thread of nobody",
            CREATE,
            &[THREAD, OTHERS, FREE, FREE, 1, 0],
            BadHandle,
        ),
        check(
            "a thread in the kernel",
            CREATE,
            &[THREAD, o.space, KERNEL, FREE, 1, 0],
            BadArgument,
        ),
        check(
            "a stack in the kernel",
            CREATE,
            &[THREAD, o.space, FREE, KERNEL, 1, 0],
            BadArgument,
        ),
        check(
            "a thread without priority",
            CREATE,
            &[THREAD, o.space, FREE, FREE, 0, 0],
            BadArgument,
        ),
        check(
            "a thread above all",
            CREATE,
            &[THREAD, o.space, FREE, FREE, 32, 0],
            BadArgument,
        ),
    ]
}

fn of_maps(o: &Objects, text: u64) -> [Check; 17] {
    let read = o.powerless[2];
    let text = text & !4095;
    [
        check(
            "map into nobody",
            MAP,
            &[OTHERS, o.region, FREE, MAP_READ],
            BadHandle,
        ),
        check(
            "map into an endpoint",
            MAP,
            &[o.endpoint, o.region, FREE, 0],
            WrongKind,
        ),
        check(
            "map without right",
            MAP,
            &[o.powerless[3], o.region, FREE, 0],
            NoRight,
        ),
        check("map null", MAP, &[0, 0, FREE, MAP_READ], BadHandle),
        check(
            "map an endpoint",
            MAP,
            &[0, o.endpoint, FREE, MAP_READ],
            WrongKind,
        ),
        check(
            "map writable without right",
            MAP,
            &[0, read, FREE, MAP_WRITE],
            NoRight,
        ),
        check(
            "map executable without right",
            MAP,
            &[0, read, FREE, MAP_EXECUTE],
            NoRight,
        ),
        check("map in no way", MAP, &[0, o.region, FREE, 3], BadArgument),
        check(
            "map unaligned",
            MAP,
            &[0, o.region, FREE + 8, MAP_READ],
            BadArgument,
        ),
        check("map at null", MAP, &[0, o.region, 0, MAP_READ], BadAddress),
        check(
            "map at the edge",
            MAP,
            &[0, o.region, EDGE, MAP_READ],
            BadAddress,
        ),
        check(
            "map in the kernel",
            MAP,
            &[0, o.region, KERNEL, MAP_WRITE],
            BadAddress,
        ),
        check(
            "map across the end",
            MAP,
            &[0, o.region, !4095, MAP_WRITE],
            BadAddress,
        ),
        check(
            "map over the program",
            MAP,
            &[0, o.region, text, MAP_WRITE],
            AlreadyMapped,
        ),
        check("unmap null", UNMAP, &[0, 0], BadAddress),
        check("unmap nothing", UNMAP, &[0, FREE], BadAddress),
        check("unmap from nobody", UNMAP, &[OTHERS, FREE], BadHandle),
    ]
}

/// Fills the handle table: the last one must be refused, and closing must make room again.
fn full_table() -> u64 {
    let mut made = [Handle::NONE; HANDLES];
    let Ok(first) = Handle::notification() else {
        return 1;
    };
    let mut count = 0;
    let error = loop {
        match first.duplicate(rights::SEND, 0) {
            Ok(handle) if count < made.len() => made[count] = handle,
            Ok(_) => break None,
            Err(error) => break Some(error),
        }
        count += 1;
    };
    let closed = made[..count.min(made.len())]
        .iter()
        .all(|handle| handle.close().is_ok());
    let good = error == Some(TableFull) && closed && first.close().is_ok();
    if !good {
        let _unwritable = writeln!(Console, "init: check failed: a full table: {error:?}");
    }
    u64::from(!good)
}

const _: () = assert!(message::WORDS == 10);
