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
}
const _: () = assert!(core::mem::size_of::<SystemInfo>() == 40);
