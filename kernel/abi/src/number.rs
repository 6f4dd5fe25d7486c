//! System-call numbers. Handles are 32-bit numbers of the caller's table, never 0; a handle
//! argument with higher bits set is `BadHandle`. Every call that takes a handle can fail with
//! `BadHandle`, `WrongKind` and `NoRight`; the lines name what else.
//!
//! Timeouts are 32-bit microseconds of the mode's clock in the upper half of RAX: 0 waits for
//! ever, `POLL` not at all. Whose word that clock is, `INFO` tells (`info::CLOCK_*`). A timeout is at least as
//! long as it says and ends with a timer interrupt: on a machine without a timer none ever does.
//!
//! The calls that are made most follow each other: the kernel finds them by one table.

/// `exit(code: u64) -> !`: ends the process; the kernel shuts down when the first one exits.
pub const EXIT: u64 = 0;
/// `print(ptr: *const u8, len: usize) -> usize`: writes UTF-8 text to the console; at most
/// `PRINT_MAX` bytes. Control characters but line feeds become `?`. Lines of other processes than the
/// first one begin with `[name] `. Errors: `BadAddress` (also for bytes that are no text), `TooLong`.
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
/// `close(handle) -> 0`: forgets the handle. An object, or a process, whose last handle is closed goes away (a process is killed); memory that is mapped stays until it is
/// unmapped.
pub const CLOSE: u64 = 13;
/// `revoke(handle) -> 0`: every other handle to the object stops working, everywhere. Threads
/// that wait at it get `PeerDied`; an interrupt is attached to nothing. Not for processes and threads.
/// Right: `MANAGE`.
pub const REVOKE: u64 = 14;
/// `create(kind, ...) -> handle`, with every right. Errors: `BadArgument` (no such kind),
/// `NotCreatable`, `TableFull`, `QuotaExceeded`, `OutOfMemory`, and:
/// - `Endpoint`, `Notification`: nothing more.
/// - `Region`: `pages` (1 to `REGION_PAGES`), address space that owns and pays, 0 for the
///   caller's own (right `MANAGE`), origin. The owner pays at once for every page, and for the
///   lists of regions above 8 pages (one for each 512, one more above 512); frames are taken when
///   a page is first touched. The origin says what such a page is: 0, zeros; a region, its page of
///   the same number, if it has one (a private copy, made when either is written; `Busy` while
///   the origin is mapped writable, which it cannot become while a copy exists; `BadArgument` for
///   an origin that has one itself); an endpoint (right `SEND`), what its receiver, the pager,
///   answers (`message`); `REGION_SHARED`, zeros that **the host sees and may change** from that
///   moment until the region's last mapping and handle are gone. The kernel takes such pages back and zeroes
///   them before it uses them again. By the first process only (`NoRight`); at most `SHARED_PAGES` pages.
/// - `AddressSpace`: `quota` in pages (at least 1, its root table), taken from the caller's;
///   notification (right `SEND`) or 0, bits that it gets when the process ends; its name, 16 bytes
///   of ASCII in two words, zero padded, which the kernel puts before each line that the process
///   prints.
/// - `Thread`: address space (0: own; right `MANAGE`), entry, top of stack, priority (at most
///   the caller's own), argument (RDI at the start). Runs at once. `BadArgument` for
///   addresses that are not canonical or not the user's, or a priority out of range.
/// - `Interrupt`, `HostChannel`, `Evidence`, `Inspection`: by the first process only (`NoRight`),
///   which gives them on.
///   - `Interrupt`: line of the IOAPIC that the host claims and `INTERRUPT_*`, or `INTERRUPT_MESSAGE`.
///     `Busy`: it exists. `BadArgument`: no such line, no such bits. `NotCreatable`: no IOAPIC that can
///     be used, or no local APIC.
///   - `HostChannel`: `CHANNEL_*`, first, count. `BadArgument`: a range that is empty, too long, or
///     touches memory or what the kernel keeps to itself. `NotCreatable`: the mode has no way there.
///   - `Evidence`, `Inspection`: nothing more.
pub const CREATE: u64 = 15;
/// `map(space, region, address, access, pages) -> 0`: maps a whole region at a page-aligned address;
/// space 0 is the caller's own, which pays for the page tables that this needs. `MAP_GUARD` takes
/// no region (0) but `pages`, which are never mapped: a touch ends the process, and nothing else
/// can be mapped there until `UNMAP`. Rights: `MANAGE` on the space, `WRITE` or `EXECUTE` on the
/// region for such an access. Errors: `BadAddress` (not the user's half), `BadArgument` (unaligned,
/// no such access, no or too many `pages`, a shared region to be executed), `AlreadyMapped`, `TableFull` (mappings), `Busy` (a region is
/// nowhere executable while it is writable somewhere, and not writable while copies of it exist),
/// `QuotaExceeded`, `OutOfMemory`.
pub const MAP: u64 = 16;
/// `unmap(space, address) -> 0`: takes away the mapping that starts there. Errors: `BadAddress`.
pub const UNMAP: u64 = 17;
/// `kill(handle) -> 0`: ends a thread, or a process with all that it owns. Right: `MANAGE`.
pub const KILL: u64 = 18;
/// `cancel(thread) -> 0`: whatever the thread waits for ends with `Cancelled`; no effect on one
/// that does not wait, or waits for a page. Right: `MANAGE`.
pub const CANCEL: u64 = 19;
/// `give(space, handle, rights, badge) -> handle`: as `DUPLICATE`, but into another process'
/// table; the result is the number there. Rights: `MANAGE` on the space; `TRANSFER`.
pub const GIVE: u64 = 20;
/// `status(space) -> state`: `STATUS_RUNS`, `STATUS_EXITED` + code (8 bits), `STATUS_FAULTED` +
/// vector, `STATUS_KILLED`, `STATUS_UNPAGED`, `STATUS_UNBACKED`.
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
/// `attach(interrupt, notification, bits) -> vector`: from now on each delivery sets these bits;
/// notification 0 ends that. The interrupt is acknowledged. The vector is what a device that
/// writes messages needs. Rights: `RECEIVE`; `SEND` on the notification.
pub const ATTACH: u64 = 32;
/// `acknowledge(interrupt) -> 0`: it may come again. From its delivery to here it does not: lines are
/// masked, messages counted and dropped. Right: `RECEIVE`.
pub const ACKNOWLEDGE: u64 = 33;
/// `channel_read(channel, offset, size) -> value`: reads a port or device memory, 1, 2 or 4 bytes
/// at an offset into the channel's range. **The value is the host's.** Right: `RECEIVE`. Errors:
/// `BadArgument` (size, range, unaligned, a channel of hypercalls), `HostRefused`.
pub const CHANNEL_READ: u64 = 34;
/// `channel_write(channel, offset, size, value) -> 0`: the other way. Right: `SEND`. Errors: as
/// `CHANNEL_READ`.
pub const CHANNEL_WRITE: u64 = 35;
/// `channel_call(channel, first, second) -> result`: the channel's hypercall with two words of input
/// in registers; bits 47:0 of what **the host** answers. Right: `SEND`. Errors: `BadArgument` (not
/// a channel of hypercalls), `HostRefused`.
pub const CHANNEL_CALL: u64 = 36;
/// `evidence(evidence, data: *const [u8; 64], into: *mut u8, len) -> kind and bytes`: what the hardware
/// signs over the data (`docs/binding.md`); bits 47:32 `defs::binding::evidence`, 31:0 bytes written.
/// Right: `SEND`. Errors: `BadAddress`, `TooLong` (`len` over `EVIDENCE_MAX`), `TooShort`,
/// `Unattested`, `HostRefused`.
pub const EVIDENCE: u64 = 37;
/// `inspect(inspection, what, index, into: *mut u8, len) -> bytes`: `INSPECT_*`. Right: `RECEIVE`.
/// Errors: `BadArgument` (no such thing), `BadAddress`, `TooShort`.
pub const INSPECT: u64 = 38;
/// `accept(inspection, pages) -> pages`: processors that have nothing else to do accept memory ahead, in
/// chunks of 2 MiB, until so many pages are accepted in all; how many are now. Less than that ends it.
/// Right: `SEND`.
pub const ACCEPT: u64 = 39;

/// `host_address(region, page) -> address`: where the host finds a page of a shared region: its guest physical
/// address, without bits of isolation. The page is there from then on, as by a touch. Errors: `BadArgument` (not
/// a shared region, no such page), `OutOfMemory`.
pub const HOST_ADDRESS: u64 = 40;

/// `CREATE` of an interrupt: the line is active while it is, not when it begins.
pub const INTERRUPT_LEVEL: u64 = 1 << 8;
/// `CREATE` of an interrupt: the line is active when low.
pub const INTERRUPT_LOW: u64 = 1 << 9;
/// `CREATE` of an interrupt: no line, a vector of its own.
pub const INTERRUPT_MESSAGE: u64 = 1 << 10;
/// `CREATE` of a channel: `count` ports from `first` on, at most `CHANNEL_PORTS`.
pub const CHANNEL_PORT: u64 = 1;
/// `CREATE` of a channel: `count` bytes of device memory from `first` on, at most `CHANNEL_BYTES`.
pub const CHANNEL_MEMORY: u64 = 2;
/// `CREATE` of a channel: Hyper-V's hypercall of code `first`; `count` is 1.
pub const CHANNEL_HYPERCALL: u64 = 3;
/// Ports of a channel at most.
pub const CHANNEL_PORTS: u64 = 256;
/// Bytes of a channel at most.
pub const CHANNEL_BYTES: u64 = 1 << 16;
/// Bytes of evidence at most.
pub const EVIDENCE_MAX: usize = 2048;
/// `INSPECT`: the last bytes of the kernel's log, at most `len`; index 0.
pub const INSPECT_LOG: u64 = 0;
/// `INSPECT`: `info::ProcessInfo` of a process, by number; nothing where there is none.
pub const INSPECT_PROCESS: u64 = 1;
/// `INSPECT`: `info::InterruptInfo` of an interrupt, by number, from 1 on; nothing where there is none.
/// Number 0: `count` is of those that nobody asked for.
pub const INSPECT_INTERRUPT: u64 = 2;

/// Bytes that `PRINT` takes at most.
pub const PRINT_MAX: usize = 1024;
/// Pages of a region at most: 256 MiB.
pub const REGION_PAGES: u64 = 65_536;
/// `CREATE` of a region: its origin where the host sees its pages.
pub const REGION_SHARED: u64 = 1 << 32;
/// Pages of a shared region at most: 2 MiB.
pub const SHARED_PAGES: u64 = 512;
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
/// `MAP` access: none, for ever.
pub const MAP_GUARD: u64 = 3;

/// `STATUS`: alive.
pub const STATUS_RUNS: u64 = 0;
/// `STATUS`: ended by `EXIT`; the low eight bits are the code's.
pub const STATUS_EXITED: u64 = 0x100;
/// `STATUS`: ended by an exception; the low eight bits are its vector.
pub const STATUS_FAULTED: u64 = 0x200;
/// `STATUS`: killed.
pub const STATUS_KILLED: u64 = 0x300;
/// `STATUS`: ended at a page that its pager did not bring: the pager is gone, received again
/// without an answer, or said `FAULT_END`. The pager's doing.
pub const STATUS_UNPAGED: u64 = 0x400;
/// `STATUS`: ended at a page for which the system had no frame: nobody's fault.
pub const STATUS_UNBACKED: u64 = 0x500;

/// RAX of a call with a timeout in microseconds.
pub const fn timeout(number: u64, microseconds: u32) -> u64 {
    number | (microseconds as u64) << 32
}
