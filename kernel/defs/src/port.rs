//! I/O ports of the devices that every host offers.

/// First 16550 (console).
pub const COM1: u16 = 0x3F8;
/// PM1a control block of QEMU's ICH9 under its usual firmware, used where no FADT says otherwise.
pub const PM1A_CNT: u16 = 0x604;
/// SLP_EN with SLP_TYP 0: soft off on that block (ACPI 6.5, 4.8.3.2.1).
pub const PM1A_SOFT_OFF: u16 = 1 << 13;
