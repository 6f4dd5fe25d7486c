//! The zero page: the measured one, completed with what the host claims and the stub checked.

use super::ranges::Ranges;
use crate::{claims, memory};
use tessera_defs::refusal::Refusal;
use tessera_handoff::layout::{
    CPUID_PAGE, IMAGE_END, IMAGE_START, LINUX_ACPI, LINUX_ACPI_PAGES, LINUX_BOOT_PARAMS,
    LINUX_CC_BLOB, LINUX_EFI, LINUX_MAILBOX, LINUX_UNACCEPTED, SECRETS_PAGE,
};
use tessera_handoff::linux::zero_page::{ZeroPage, at, e820};
use tessera_handoff::linux::{acpi, cc_blob, efi};

const MAILBOX_END: u64 = LINUX_MAILBOX + 4096;
const ACPI_END: u64 = LINUX_ACPI + LINUX_ACPI_PAGES * 4096;

/// Completes all tables. `snp`: with the confidential-computing blob. `mailbox`: where the other
/// processors wait; `vmbus`: the host has Hyper-V's interface. Errors: `MemoryMapInvalid`,
/// `ParameterInvalid` (host).
pub fn write(
    ranges: &Ranges<'_>,
    snp: bool,
    mailbox: Option<u64>,
    vmbus: bool,
) -> Result<(), Refusal> {
    write_acpi(mailbox, vmbus)?;
    let mut page = memory::read::<[u8; 4096]>(LINUX_BOOT_PARAMS);
    let mut zero = ZeroPage(&mut page);
    zero.put64(at::ACPI_RSDP, LINUX_ACPI);
    map(&mut zero, ranges).ok_or(Refusal::MemoryMapInvalid)?;
    // As after a firmware of EFI, so that nobody looks for a BIOS's tables in memory.
    if ranges.isolated {
        write_efi(&mut zero, ranges).ok_or(Refusal::MemoryMapInvalid)?;
    }
    if snp {
        zero.put64(at::SETUP_DATA, LINUX_CC_BLOB);
        let blob = cc_blob::build(LINUX_CC_BLOB, SECRETS_PAGE, CPUID_PAGE);
        memory::write(LINUX_CC_BLOB, &blob);
    }
    memory::write(LINUX_BOOT_PARAMS, &page);
    Ok(())
}

/// The image stays reserved, but for the ACPI tables.
fn map(zero: &mut ZeroPage<'_>, ranges: &Ranges<'_>) -> Option<()> {
    zero.e820(IMAGE_START, LINUX_ACPI, e820::RESERVED)?;
    zero.e820(LINUX_ACPI, ACPI_END, e820::ACPI)?;
    zero.e820(ACPI_END, LINUX_CC_BLOB, e820::RESERVED)?;
    // Setup data must be RAM: Linux maps what is reserved as shared with the host.
    zero.e820(LINUX_CC_BLOB, LINUX_CC_BLOB + 4096, e820::RAM)?;
    zero.e820(LINUX_CC_BLOB + 4096, LINUX_MAILBOX, e820::RESERVED)?;
    // The mailbox is of a kind that Linux maps as private; what is reserved it does not.
    zero.e820(LINUX_MAILBOX, MAILBOX_END, e820::NVS)?;
    zero.e820(MAILBOX_END, IMAGE_END, e820::RESERVED)?;
    let mut ram = ranges.now().chain(ranges.later());
    ram.try_for_each(|(start, end)| zero.e820(start, end, e820::RAM))
}

fn write_efi(zero: &mut ZeroPage<'_>, ranges: &Ranges<'_>) -> Option<()> {
    let (mut buffer, mut bits) = ([0; 8192], [0; 8192]);
    let mut tables = efi::Tables::new(&mut buffer, LINUX_EFI, LINUX_UNACCEPTED);
    for (start, end) in ranges.now() {
        tables.memory(start, end, efi::kind::CONVENTIONAL)?;
    }
    for (start, end) in ranges.later() {
        tables.memory(start, end, efi::kind::UNACCEPTED)?;
    }
    tables.memory(IMAGE_START, LINUX_ACPI, efi::kind::RESERVED)?;
    tables.memory(LINUX_ACPI, ACPI_END, efi::kind::ACPI)?;
    tables.memory(ACPI_END, LINUX_MAILBOX, efi::kind::RESERVED)?;
    tables.memory(LINUX_MAILBOX, MAILBOX_END, efi::kind::ACPI_NVS)?;
    tables.memory(MAILBOX_END, IMAGE_END, efi::kind::RESERVED)?;
    tables.finish(zero);
    efi::unaccepted(&mut bits, ranges.later())?;
    memory::write(LINUX_EFI, &buffer);
    memory::write(LINUX_UNACCEPTED, &bits);
    Some(())
}

/// Linux needs a MADT: without one it finds no processor.
fn write_acpi(mailbox: Option<u64>, vmbus: bool) -> Result<(), Refusal> {
    let mut buffer = [0; (LINUX_ACPI_PAGES * 4096) as usize];
    let madt = claims::madt().ok_or(Refusal::ParameterInvalid)?;
    acpi::build(&mut buffer, LINUX_ACPI, madt, mailbox, vmbus).ok_or(Refusal::ParameterInvalid)?;
    memory::write(LINUX_ACPI, &buffer);
    Ok(())
}
