//! Numbers and bits of the registers. Source: Intel SDM vol. 3, tables 10-1 and 10-6.

/// Registers by their number: the x2APIC MSR less 0x800, or the xAPIC offset / 16.
#[allow(missing_docs)]
pub mod reg {
    pub const ID: u32 = 0x02;
    pub const VERSION: u32 = 0x03;
    pub const TPR: u32 = 0x08;
    pub const PPR: u32 = 0x0A;
    pub const EOI: u32 = 0x0B;
    pub const LDR: u32 = 0x0D;
    pub const DFR: u32 = 0x0E;
    pub const SPURIOUS: u32 = 0x0F;
    pub const ISR: u32 = 0x10;
    pub const TMR: u32 = 0x18;
    pub const IRR: u32 = 0x20;
    pub const ESR: u32 = 0x28;
    pub const ICR: u32 = 0x30;
    pub const ICR_HIGH: u32 = 0x31;
    pub const LVT_TIMER: u32 = 0x32;
    pub const LVT_ERROR: u32 = 0x37;
    pub const INITIAL_COUNT: u32 = 0x38;
    pub const CURRENT_COUNT: u32 = 0x39;
    pub const DIVIDE: u32 = 0x3E;
    pub const SELF_IPI: u32 = 0x3F;
}

/// IA32_APIC_BASE: boot processor, x2APIC mode, enabled; the page of xAPIC mode.
pub mod base {
    /// Boot processor.
    pub const BSP: u64 = 1 << 8;
    /// x2APIC mode.
    pub const EXTD: u64 = 1 << 10;
    /// Enabled.
    pub const EN: u64 = 1 << 11;
    /// Where its registers stand in xAPIC mode. It cannot be moved.
    pub const PAGE: u64 = 0xFEE0_0000;
}
