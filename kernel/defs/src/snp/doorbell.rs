//! The #HV doorbell page of restricted injection. Source: 56421 rev. 2.04, event 8000_0014h. Positions
//! checked against coconut-svsm (`HVDoorbell`), which runs on hardware.

/// Vector of #HV.
pub const VECTOR: u8 = 28;

/// Requests in SW_EXITINFO1.
pub mod request {
    /// The host's preferred address, `NONE` if it has none.
    pub const PREFERRED: u64 = 0;
    /// Registers the page whose GPA is in SW_EXITINFO2.
    pub const SET: u64 = 1;
    /// The registered one.
    pub const QUERY: u64 = 2;
    /// None from now on.
    pub const CLEAR: u64 = 3;
}

/// No page.
pub const NONE: u64 = u64::MAX;

/// Byte 0: the interrupt's vector; the guest takes it by writing 0.
pub const PENDING_VECTOR: usize = 0;
/// Byte 1: `flags`.
pub const PENDING_FLAGS: usize = 1;
/// Byte 2: not 0 where the interrupt needs no EOI; the guest clears it.
pub const NO_EOI_REQUIRED: usize = 2;

/// Bits of byte 1.
pub mod flags {
    /// An NMI.
    pub const NMI: u8 = 1 << 0;
    /// A machine check.
    pub const MACHINE_CHECK: u8 = 1 << 1;
    /// NoFurtherSignal: #HV was sent, and is not sent again before the guest clears this.
    pub const NO_FURTHER_SIGNAL: u8 = 1 << 7;
}
