//! The ACPI tables of a machine that has what every host of ours offers: PM1a blocks and the PM
//! timer at fixed ports, and the host's own MADT. Source: ACPI 6.5, 5.2.5 to 5.2.12, 20.2 (AML).

use tessera_defs::port::{PM_TMR, PM1A_CNT, PM1A_EVT, RESET, RESET_NOW};

/// Bytes of a table's header.
const HEADER: usize = 36;
/// Places in the buffer.
const XSDT: usize = 64;
const FADT: usize = 128;
const DSDT: usize = 448;
const MADT: usize = 576;
const FADT_LEN: usize = 276;
/// Bytes of a multiprocessor wake-up structure.
const WAKE_UP: usize = 16;
/// SCI line.
const SCI: u16 = 9;
/// Index of the century in the real-time clock.
const CENTURY: u8 = 0x32;
/// Boot architecture: ISA devices that the tables do not list (COM1); no VGA.
const BOOT_ARCH: u16 = 1 << 0 | 1 << 2;
/// WBINVD works; no fixed power and sleep buttons; no fixed RTC wake; the timer has 32 bits; there
/// is a reset register.
const FLAGS: u32 = 1 << 0 | 1 << 4 | 1 << 5 | 1 << 6 | 1 << 8 | 1 << 10;
/// `Name (_S5, Package () {0, 0, 0, 0})`: soft off is sleep type 0.
const AML: [u8; 12] = *b"\x08_S5_\x12\x06\x04\0\0\0\0";

/// `Scope (\_SB) { Device (VMOD) { Name (_HID, "ACPI0004"); Name (_UID, 0); Device (VMBS) { Name (_HID, "VMBus"); Name
/// (_UID, 0); Name (_STA, 0x0F) } } }`: what a guest of Hyper-V looks for before it calls the VMBus.
const VMBUS: [u8; 68] = *b"\x10\x43\x04\\_SB_\
    \x5B\x82\x3AVMOD\x08_HID\x0DACPI0004\0\x08_UID\0\
    \x5B\x82\x1EVMBS\x08_HID\x0DVMBus\0\x08_UID\0\x08_STA\x0A\x0F";
const _: () = assert!(DSDT + HEADER + AML.len() + VMBUS.len() <= MADT);

/// Lays the tables out in `buffer`, which will stand at `base`; the RSDP comes first. `mailbox`: where
/// the other processors wait, for the MADT. `vmbus`: the DSDT has its device. `None`: the MADT does not fit.
pub fn build(
    buffer: &mut [u8],
    base: u64,
    madt: &[u8],
    mailbox: Option<u64>,
    vmbus: bool,
) -> Option<()> {
    buffer
        .get_mut(MADT..MADT + madt.len())?
        .copy_from_slice(madt);
    if let Some(mailbox) = mailbox {
        wake_up(buffer.get_mut(MADT..MADT + madt.len() + WAKE_UP)?, mailbox);
    }
    let place = |at: usize| base + at as u64;
    let devices = if vmbus { &VMBUS[..] } else { &[] };
    let dsdt = table(buffer, DSDT, b"DSDT", HEADER + AML.len() + devices.len(), 2);
    dsdt[HEADER..][..AML.len()].copy_from_slice(&AML);
    dsdt[HEADER + AML.len()..].copy_from_slice(devices);
    sum(dsdt);
    let fadt = table(buffer, FADT, b"FACP", FADT_LEN, 6);
    self::fadt(fadt, place(DSDT));
    sum(fadt);
    let xsdt = table(buffer, XSDT, b"XSDT", HEADER + 16, 1);
    xsdt[HEADER..HEADER + 8].copy_from_slice(&place(FADT).to_le_bytes());
    xsdt[HEADER + 8..].copy_from_slice(&place(MADT).to_le_bytes());
    sum(xsdt);
    let rsdp = &mut buffer[..36];
    rsdp[..8].copy_from_slice(b"RSD PTR ");
    rsdp[9..15].copy_from_slice(b"TSSERA");
    rsdp[15] = 2;
    rsdp[20..24].copy_from_slice(&36u32.to_le_bytes());
    rsdp[24..32].copy_from_slice(&place(XSDT).to_le_bytes());
    rsdp[8] = checksum(&rsdp[..20]);
    rsdp[32] = checksum(rsdp);
    Some(())
}

/// Adds the multiprocessor wake-up structure, version 0, to a MADT that has room for it at its end
/// (5.2.12.19).
fn wake_up(madt: &mut [u8], mailbox: u64) {
    let len = madt.len();
    madt[4..8].copy_from_slice(&(len as u32).to_le_bytes());
    let entry = &mut madt[len - WAKE_UP..];
    entry.fill(0);
    entry[..2].copy_from_slice(&[0x10, WAKE_UP as u8]);
    entry[8..].copy_from_slice(&mailbox.to_le_bytes());
    sum(madt);
}

fn fadt(table: &mut [u8], dsdt: u64) {
    let mut put = |at: usize, bytes: &[u8]| table[at..at + bytes.len()].copy_from_slice(bytes);
    put(40, &(dsdt as u32).to_le_bytes());
    put(46, &SCI.to_le_bytes());
    for (at, extended, port, bits) in [
        (56, 148, PM1A_EVT, 32),
        (64, 172, PM1A_CNT, 16),
        (76, 208, PM_TMR, 32),
    ] {
        put(at, &u32::from(port).to_le_bytes());
        // Generic address: I/O space, width, offset, access of 16 or 32 bits.
        put(extended, &[1, bits, 0, if at == 76 { 3 } else { 2 }]);
        put(extended + 4, &u64::from(port).to_le_bytes());
    }
    put(88, &[4, 2, 0, 4]);
    // No C2 and C3.
    put(96, &[0xFF; 4]);
    put(108, &[CENTURY]);
    put(109, &BOOT_ARCH.to_le_bytes());
    put(112, &FLAGS.to_le_bytes());
    put(116, &[1, 8, 0, 1]);
    put(120, &u64::from(RESET).to_le_bytes());
    put(128, &[RESET_NOW]);
    put(131, &[5]);
    put(140, &dsdt.to_le_bytes());
}

/// The room of a table with its header, but for the checksum.
fn table<'a>(
    buffer: &'a mut [u8],
    at: usize,
    name: &[u8; 4],
    len: usize,
    revision: u8,
) -> &'a mut [u8] {
    let table = &mut buffer[at..at + len];
    table[..4].copy_from_slice(name);
    table[4..8].copy_from_slice(&(len as u32).to_le_bytes());
    table[8] = revision;
    // OEM, table, revision; creator, revision.
    table[10..HEADER].copy_from_slice(b"TSSERATESSERA \x01\0\0\0TSRA\x01\0\0\0");
    table
}

fn sum(table: &mut [u8]) {
    table[9] = 0;
    table[9] = checksum(table);
}

fn checksum(bytes: &[u8]) -> u8 {
    bytes.iter().fold(0u8, |sum, byte| sum.wrapping_sub(*byte))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_table_sums_to_zero_and_is_found() {
        let mut buffer = [0; 8192];
        let madt = [0x55; 100];
        build(&mut buffer, 0x20_2000, &madt, None, false).unwrap();
        let zero = |bytes: &[u8]| assert_eq!(checksum(bytes), 0);
        zero(&buffer[..20]);
        zero(&buffer[..36]);
        for (at, len) in [(XSDT, 52), (FADT, FADT_LEN), (DSDT, 48)] {
            assert_eq!(
                buffer[at + 4] as usize | (buffer[at + 5] as usize) << 8,
                len
            );
            zero(&buffer[at..at + len]);
        }
        assert_eq!(buffer[XSDT + 36..XSDT + 40], 0x20_2080u32.to_le_bytes());
        assert_eq!(buffer[FADT + 140..FADT + 144], 0x20_21C0u32.to_le_bytes());
        assert_eq!(buffer[MADT..MADT + 100], madt);
        assert_eq!(build(&mut buffer, 0, &[0; 8000], None, false), None);
    }

    /// Lengths of packages, from the operator's end: each one ends where the bytes end.
    #[test]
    fn the_packages_of_the_vmbus_node_end_together() {
        let mut buffer = [0; 8192];
        build(&mut buffer, 0x20_2000, &[0x55; 100], None, true).unwrap();
        let table = &buffer[DSDT..DSDT + HEADER + AML.len() + VMBUS.len()];
        assert_eq!(
            (table[4] as usize, checksum(table), buffer[MADT]),
            (table.len(), 0, 0x55)
        );
        // ACPI 20.2.4: bits 7:6 say how many bytes follow; those have four bits from the first.
        let scope = usize::from(VMBUS[1] & 0xF) | usize::from(VMBUS[2]) << 4;
        let find = |name: &[u8]| VMBUS.windows(4).position(|at| at == name).unwrap();
        let ends = |name| find(name) - 1 + usize::from(VMBUS[find(name) - 1]);
        let all = [1 + scope, ends(b"VMOD"), ends(b"VMBS")];
        assert_eq!(all, [VMBUS.len(); 3]);
    }

    #[test]
    fn the_mailbox_is_the_last_entry_of_the_madt() {
        let mut buffer = [0; 8192];
        build(&mut buffer, 0x20_2000, &[0x55; 100], Some(0x20_9000), false).unwrap();
        let madt = &buffer[MADT..MADT + 116];
        assert_eq!((checksum(madt), &madt[4..8]), (0, &[116u8, 0, 0, 0][..]));
        assert_eq!(madt[100..108], [0x10, 16, 0, 0, 0, 0, 0, 0]);
        assert_eq!(madt[108..], 0x20_9000u64.to_le_bytes());
    }
}
