//! I/O ports of the devices that every host offers.

/// First 16550 (console).
pub const COM1: u16 = 0x3F8;
/// Index of the real-time clock's registers.
pub const CMOS_INDEX: u16 = 0x70;
/// The register that is selected there.
pub const CMOS_DATA: u16 = 0x71;
/// PM1a event block: status, then enable (16 bits each).
pub const PM1A_EVT: u16 = 0x600;
/// ACPI power management timer, 32 bits.
pub const PM_TMR: u16 = 0x608;
/// Reset control of a PC's chipset.
pub const RESET: u16 = 0xCF9;
/// Full reset of the processors, written there (Intel ICH9 datasheet 316972, 13.7.5).
pub const RESET_NOW: u8 = 6;
/// PM1a control block of QEMU's ICH9 under its usual firmware, used where no FADT says otherwise.
pub const PM1A_CNT: u16 = 0x604;
/// SLP_EN with SLP_TYP 0: soft off on that block (ACPI 6.5, 4.8.3.2.1).
pub const PM1A_SOFT_OFF: u16 = 1 << 13;

/// A device of the test host alone: 32 bits written here are an interrupt message to the processor whose
/// APIC id stands in bits 31:24, with the vector in bits 7:0. Ours.
pub const TEST_MESSAGES: u16 = 0x0E50;
/// The same device: not 0 is read where its host begins to lie when something is written there: 1 for acceptance ahead,
/// 2 for pages that are shared, 3 for their way back. Ours.
pub const TEST_LATE: u16 = TEST_MESSAGES + 4;
/// The same device: where a page number is written, the host reads the first word of that page and writes its complement
/// behind it. 1 is read then, or 0 where silicon keeps the host out. Ours.
pub const TEST_MEMORY: u16 = TEST_MESSAGES + 8;
/// What is read at `TEST_MESSAGES`.
pub const TEST_MESSAGES_ID: u32 = u32::from_le_bytes(*b"TSMG");
