//! What `number::INFO` returns.

/// What the system runs on. All counts in pages of 4 KiB unless said otherwise.
#[repr(C)]
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct SystemInfo {
    /// `Mode` number.
    pub mode: u32,
    /// `HostProfile` number.
    pub profile: u32,
    /// Pages of memory in all.
    pub pages_total: u64,
    /// Pages accepted so far.
    pub pages_accepted: u64,
    /// Pages shared with the host now.
    pub pages_shared: u64,
    /// Timer interrupts so far.
    pub ticks: u64,
    /// Microseconds of the clock of timeouts; it does not go back.
    pub now: u64,
    /// Processors that run.
    pub processors: u64,
    /// Pages that the kernel itself uses: what no process pays for.
    pub pages_kernel: u64,
    /// Whose word `now` is: `CLOCK_*`.
    pub clock: u64,
}
const _: () = assert!(core::mem::size_of::<SystemInfo>() == 72);

/// The host's: it can make the clock slow or fast, or stop it. Nothing that must be true may depend on it.
pub const CLOCK_HOST: u64 = 0;
/// The hardware's: a host can delay who sleeps, not hurry them.
pub const CLOCK_HARDWARE: u64 = 1;

/// What `number::USAGE` returns of one process.
#[repr(C)]
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Usage {
    /// Threads.
    pub threads: u32,
    /// Handles in its table.
    pub handles: u32,
    /// Pages that are charged to it.
    pub pages: u64,
    /// Pages that may be charged to it.
    pub quota: u64,
    /// `STATUS_*`.
    pub status: u64,
    /// Those of `pages` that are its page tables, and the lists of regions that it pays for.
    pub tables: u64,
}
const _: () = assert!(core::mem::size_of::<Usage>() == 40);

/// What `number::INSPECT_PROCESS` returns.
#[repr(C)]
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct ProcessInfo {
    /// ASCII, zero padded; all zero for the first process.
    pub name: [u8; 16],
    /// As `number::USAGE`.
    pub usage: Usage,
}
const _: () = assert!(core::mem::size_of::<ProcessInfo>() == 56);

/// What `number::INSPECT_INTERRUPT` returns.
#[repr(C)]
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct InterruptInfo {
    /// Deliveries so far.
    pub count: u64,
    /// 1: delivered, and not acknowledged yet.
    pub waits: u32,
    /// Its vector.
    pub vector: u32,
}
const _: () = assert!(core::mem::size_of::<InterruptInfo>() == 16);
