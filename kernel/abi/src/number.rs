//! System-call numbers. Handles are 32-bit numbers of the caller's table, never 0; a handle
//! argument with higher bits set is `BadHandle`. Every call that takes a handle can fail with
//! `BadHandle`, `WrongKind` and `NoRight`; the lines name what else.
//!
//! Timeouts are 32-bit microseconds of the mode's clock in the upper half of RAX: 0 waits for
//! ever, `POLL` not at all. Their resolution is one timer interrupt. On a machine without a
//! timer no timeout ever expires.
//!
//! The calls that are made most follow each other: the kernel finds them by one table.

/// `exit(code: u64) -> !`: ends the process; the kernel shuts down when the first one exits.
pub const EXIT: u64 = 0;
/// `print(ptr: *const u8, len: usize) -> usize`: writes UTF-8 text to the console; at most
/// `PRINT_MAX` bytes. Errors: `BadAddress` (also for bytes that are no text), `TooLong`.
pub const PRINT: u64 = 1;
/// `info(ptr: *mut SystemInfo, len: usize) -> usize`: what this system runs on; bytes written.
/// Errors: `BadAddress`, `TooShort`.
pub const INFO: u64 = 2;
/// `null() -> 0`: does nothing.
pub const NULL: u64 = 3;
/// `call(endpoint, tag, words) -> MESSAGE`: sends a message and waits for the reply, which
/// comes in the same registers (`message`). The server runs with the caller's time, and with its
/// priority where that is higher. Right: `SEND`. Timeout. Errors: `TimedOut`, `Cancelled`,
/// `PeerDied` (server or endpoint gone, or the server received again without a reply),
/// `TableFull` (the receiver's), and those of the moved handle.
pub const CALL: u64 = 4;
/// `reply_receive(handle, tag, words) -> MESSAGE or NOTIFIED`: as `REPLY`, then as `RECEIVE`.
/// The handle is checked before the reply is sent. A reply that is not deliverable because the
/// caller is gone is dropped.
pub const REPLY_RECEIVE: u64 = 5;
/// As `CALL`, with a short message (`message`).
pub const CALL_SHORT: u64 = 6;
/// As `REPLY_RECEIVE`, with a short reply, and for a short message.
pub const REPLY_RECEIVE_SHORT: u64 = 7;
/// `yield() -> 0`: lets other threads of the same priority run.
pub const YIELD: u64 = 8;
/// `sleep() -> 0`: waits until the timeout is over; timeout 0 is `BadArgument`.
/// Errors: `BadArgument`, `Cancelled`.
pub const SLEEP: u64 = 9;
/// `signal(notification, bits) -> 0`: sets bits; never waits. Right: `SEND`.
pub const SIGNAL: u64 = 10;
/// `bind(notification) -> 0`: from now on the calling thread's `RECEIVE` on an endpoint also
/// ends by this notification; handle 0 ends that. Right: `RECEIVE`. Errors: `Busy`.
pub const BIND: u64 = 11;
/// `duplicate(handle, rights, badge) -> handle`: a copy with these rights, which must be among
/// the original's (`NoRight`). A badge other than 0 is given to the copy of an endpoint handle
/// without badge; else `BadArgument`. Right: `DUPLICATE`. Errors: `TableFull`.
pub const DUPLICATE: u64 = 12;
/// `close(handle) -> 0`: forgets the handle. An endpoint, notification, region or process whose last
/// handle is closed goes away (a process is killed); memory that is mapped stays until it is
/// unmapped.
pub const CLOSE: u64 = 13;
/// `revoke(handle) -> 0`: every other handle to the object stops working, everywhere. Threads
/// that wait at it get `PeerDied`. Endpoints, notifications, regions. Right: `MANAGE`.
pub const REVOKE: u64 = 14;
/// `create(kind, ...) -> handle`, with every right. Errors: `BadArgument` (no such kind),
/// `NotCreatable`, `TableFull`, `QuotaExceeded`, `OutOfMemory`, and:
/// - `Endpoint`, `Notification`: nothing more.
/// - `Region`: `pages` (1 to `REGION_PAGES`), address space that owns and pays, 0 for the
///   caller's own (right `MANAGE`). Zeroed.
/// - `AddressSpace`: `quota` in pages, taken from the caller's; notification (right `SEND`) or
///   0, bits that it gets when the process ends.
/// - `Thread`: address space (0: own; right `MANAGE`), entry, top of stack, priority (at most
///   the caller's own), argument (RDI at the start). Runs at once. `BadArgument` for
///   addresses that are not canonical or not the user's, or a priority out of range.
pub const CREATE: u64 = 15;
/// `map(space, region, address, access) -> 0`: maps a whole region at a page-aligned address;
/// space 0 is the caller's own. Rights: `MANAGE` on the space, `WRITE` or `EXECUTE` on the region
/// for such an access. Errors: `BadAddress` (not the user's half), `BadArgument` (unaligned, no
/// such access), `AlreadyMapped`, `TableFull` (mappings), `QuotaExceeded`, `OutOfMemory`.
pub const MAP: u64 = 16;
/// `unmap(space, address) -> 0`: takes away the mapping that starts there. Errors: `BadAddress`.
pub const UNMAP: u64 = 17;
/// `kill(handle) -> 0`: ends a thread, or a process with all that it owns. Right: `MANAGE`.
pub const KILL: u64 = 18;
/// `cancel(thread) -> 0`: whatever the thread waits for ends with `Cancelled`; no effect on one
/// that does not wait. Right: `MANAGE`.
pub const CANCEL: u64 = 19;
/// `give(space, handle, rights, badge) -> handle`: as `DUPLICATE`, but into another process'
/// table; the result is the number there. Rights: `MANAGE` on the space; `TRANSFER`.
pub const GIVE: u64 = 20;
/// `status(space) -> state`: `STATUS_RUNS`, `STATUS_EXITED` + code (8 bits), `STATUS_FAULTED` +
/// vector, `STATUS_KILLED`.
pub const STATUS: u64 = 21;
/// `set_tls(base) -> 0`: FS base of the calling thread. Errors: `BadAddress` (not the user's).
pub const SET_TLS: u64 = 22;
/// `usage(space, ptr: *mut Usage, len) -> bytes`: what a process uses; 0 for the caller's own.
/// Errors: `BadAddress`, `TooShort`.
pub const USAGE: u64 = 23;
/// `receive(handle) -> MESSAGE or NOTIFIED`: waits for a message on an endpoint, for a
/// notification, or, where a notification is bound to the thread, for whichever comes first.
/// A caller that still waits for a reply of this thread gets `PeerDied`. Right: `RECEIVE`.
/// Timeout. Errors: `TimedOut`, `Cancelled`, `PeerDied` (the object was destroyed), `Busy`
/// (another thread waits for this notification).
pub const RECEIVE: u64 = 24;
/// `reply(_, tag, words) -> 0`: answers the caller whose message this thread received last.
/// Errors: `NoCaller`, `TableFull` (the caller's), and those of the moved handle: the caller
/// then still waits.
pub const REPLY: u64 = 25;

/// Bytes that `PRINT` takes at most.
pub const PRINT_MAX: usize = 1024;
/// Pages of a region at most.
pub const REGION_PAGES: u64 = 256;
/// Priorities are 1 to this, higher runs first.
pub const PRIORITY_MAX: u8 = 31;
/// Handles of a process at most.
pub const HANDLES: usize = 63;
/// Timeout: do not wait.
pub const POLL: u32 = u32::MAX;

/// `MAP` access: read only.
pub const MAP_READ: u64 = 0;
/// `MAP` access: read and write.
pub const MAP_WRITE: u64 = 1;
/// `MAP` access: read and execute.
pub const MAP_EXECUTE: u64 = 2;

/// `STATUS`: alive.
pub const STATUS_RUNS: u64 = 0;
/// `STATUS`: ended by `EXIT`; the low eight bits are the code's.
pub const STATUS_EXITED: u64 = 0x100;
/// `STATUS`: ended by an exception; the low eight bits are its vector.
pub const STATUS_FAULTED: u64 = 0x200;
/// `STATUS`: killed.
pub const STATUS_KILLED: u64 = 0x300;

/// RAX of a call with a timeout in microseconds.
pub const fn timeout(number: u64, microseconds: u32) -> u64 {
    number | (microseconds as u64) << 32
}
