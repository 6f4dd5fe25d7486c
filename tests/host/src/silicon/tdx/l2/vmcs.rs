//! The L2 VMCS as values, and as L1 sees it: read and write masks, and what must not change.
//! Source: 348551, TDG.VP.WR and the tables of the L2 VMCS.

use super::{
    cr::{self, Cr},
    fields::{COUNT, FIELDS, index},
    initial,
};
use alloc::vec::Vec;
use tessera_defs::{
    tdx::{page, status},
    vmx::{control, vmcs},
};

/// Controls that L1 may switch; the rest of what it may write stands as it is, as on a processor
/// that has no more.
const PRIMARY_OFFERED: u64 = control::primary::INTERRUPT_WINDOW as u64;
const SECONDARY_OFFERED: u64 = (control::secondary::VIRTUAL_INTERRUPTS
    | control::secondary::MODE_BASED_EXECUTE
    | control::secondary::VM_FUNCTIONS) as u64;

/// The fields, and L1's own guest/host masks and read shadows of CR0 and CR4.
#[derive(Clone, Debug)]
pub struct Vmcs {
    values: Vec<u64>,
    /// CR0.
    pub cr0: Cr,
    /// CR4.
    pub cr4: Cr,
}

impl Vmcs {
    /// As the module makes it. `cr4_allowed` are the bits of CR4 that the processor and the TD
    /// have.
    pub fn new(cr4_allowed: u64) -> Self {
        let values = alloc::vec![0; COUNT];
        let mut made = Self {
            values,
            cr0: Cr::cr0(),
            cr4: Cr::cr4(cr4_allowed),
        };
        for (encoding, value) in initial::VALUES {
            made.set(*encoding, *value);
        }
        made
    }

    /// The value that the processor uses.
    pub fn get(&self, encoding: u32) -> u64 {
        index(encoding).map_or(0, |at| self.values[at])
    }

    /// Sets the value that the processor uses.
    pub fn set(&mut self, encoding: u32, value: u64) {
        if let Some(at) = index(encoding) {
            self.values[at] = value;
        }
    }

    fn seen_by_l1(&self, encoding: u32) -> u64 {
        match encoding {
            vmcs::CR0_GUEST_HOST_MASK => self.cr0.mask,
            vmcs::CR0_READ_SHADOW => self.cr0.shadow,
            vmcs::CR4_GUEST_HOST_MASK => self.cr4.mask,
            vmcs::CR4_READ_SHADOW => self.cr4.shadow,
            vmcs::GUEST_CR0 => self.cr0.seen_by_l1(self.get(encoding)),
            vmcs::GUEST_CR4 => self.cr4.seen_by_l1(self.get(encoding)),
            _ => self.get(encoding),
        }
    }

    /// TDG.VP.RD of a field. Errors: the completion status.
    pub fn read(&self, encoding: u32) -> Result<u64, u64> {
        let at = index(encoding).ok_or(status::METADATA_FIELD_ID_INCORRECT)?;
        match FIELDS[at].read {
            0 => Err(status::METADATA_FIELD_NOT_READABLE),
            mask => Ok(self.seen_by_l1(encoding) & mask),
        }
    }

    /// TDG.VP.WR of the bits of `request`; the old value. Errors: the completion status.
    pub fn write(&mut self, encoding: u32, value: u64, request: u64) -> Result<u64, u64> {
        let at = index(encoding).ok_or(status::METADATA_FIELD_ID_INCORRECT)?;
        let field = FIELDS[at];
        let mask = field.write & request;
        if mask == 0 {
            return Err(status::METADATA_FIELD_NOT_WRITABLE);
        }
        let old = self.seen_by_l1(encoding);
        let mut base = old;
        // An address that was never set: its bits below the mask count as 0.
        if encoding == vmcs::VIRTUAL_APIC_PAGE && base == u64::MAX {
            base &= field.write;
        }
        if (base ^ value) & request & !field.write != 0 {
            return Err(status::METADATA_FIELD_VALUE_NOT_VALID);
        }
        self.store(encoding, base & !mask | value & mask, base)?;
        Ok(old & field.read)
    }

    fn store(&mut self, encoding: u32, value: u64, old: u64) -> Result<(), u64> {
        let invalid = Err(status::METADATA_FIELD_VALUE_NOT_VALID);
        match encoding {
            vmcs::CR0_GUEST_HOST_MASK => self.cr0.mask = value,
            vmcs::CR0_READ_SHADOW => self.cr0.shadow = value,
            vmcs::CR4_GUEST_HOST_MASK => self.cr4.mask = value,
            vmcs::CR4_READ_SHADOW => self.cr4.shadow = value,
            vmcs::GUEST_CR0 | vmcs::GUEST_CR4 => {
                let cr: &Cr = if encoding == vmcs::GUEST_CR0 {
                    &self.cr0
                } else {
                    &self.cr4
                };
                match cr.written_by_l1(self.get(encoding), value) {
                    Some(real) => self.set(encoding, real),
                    None => return invalid,
                }
            }
            vmcs::VIRTUAL_APIC_PAGE if value >> page::SHARED_BIT != 0 => return invalid,
            vmcs::PRIMARY_CONTROLS if (value ^ old) & !PRIMARY_OFFERED != 0 => return invalid,
            vmcs::SECONDARY_CONTROLS if (value ^ old) & !SECONDARY_OFFERED != 0 => return invalid,
            // Supervisor shadow stacks and tertiary controls are not offered.
            vmcs::EPTP | cr::TERTIARY_CONTROLS if value != old => return invalid,
            vmcs::GUEST_DEBUGCTL if value >> 6 & 3 == 1 => return invalid,
            _ => self.set(encoding, value),
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOT_VALID: Result<u64, u64> = Err(status::METADATA_FIELD_VALUE_NOT_VALID);

    fn made() -> Vmcs {
        Vmcs::new(control::CR4_L1_WRITABLE)
    }

    #[test]
    fn l1_finds_what_the_module_made() {
        let made = made();
        for (encoding, value) in [
            (vmcs::GUEST_CR0, control::CR0_L2_INITIAL),
            (vmcs::GUEST_CR4, control::CR4_L2_INITIAL),
            (vmcs::GUEST_EFER, control::EFER_L2_INITIAL),
            (vmcs::GUEST_CS_AR, 0xC09B),
            (vmcs::GUEST_RIP, 0xFFFF_FFF0),
            (vmcs::GUEST_TR_AR, 0x8B),
            (vmcs::CR0_GUEST_HOST_MASK, u64::MAX),
            (vmcs::CR4_READ_SHADOW, 0),
            (vmcs::EXCEPTION_BITMAP, 1 << 18),
            (vmcs::VIRTUAL_APIC_PAGE, u64::MAX),
        ] {
            assert_eq!(made.read(encoding), Ok(value), "{encoding:#x}");
        }
        let hidden = made.read(0x2004);
        assert_eq!(hidden, Err(status::METADATA_FIELD_NOT_READABLE));
        let unknown = made.read(0x7FFE);
        assert_eq!(unknown, Err(status::METADATA_FIELD_ID_INCORRECT));
    }

    #[test]
    fn only_writable_bits_change_and_the_old_value_comes_back() {
        let mut made = made();
        assert_eq!(made.write(vmcs::GUEST_CS_AR, 0xA09B, u64::MAX), Ok(0xC09B));
        assert_eq!(made.write(vmcs::GUEST_CS_AR, 0, 0xF0), Ok(0xA09B));
        assert_eq!(made.read(vmcs::GUEST_CS_AR), Ok(0xA00B));
        let long = 0x500;
        assert_eq!(made.write(vmcs::GUEST_EFER, long, long), Ok(0x901));
        assert_eq!(made.read(vmcs::GUEST_EFER), Ok(0xD01));
        // NXE is fixed: a mask that covers it must leave it as it is.
        assert_eq!(made.write(vmcs::GUEST_EFER, 0x501, u64::MAX), NOT_VALID);
        assert_eq!(made.write(vmcs::GUEST_EFER, 0xD01, u64::MAX), Ok(0xD01));
        let denied = Err(status::METADATA_FIELD_NOT_WRITABLE);
        assert_eq!(made.write(vmcs::PIN_CONTROLS, 0, u64::MAX), denied);
        assert_eq!(made.write(vmcs::GUEST_ACTIVITY, 1, 1), denied);
        assert_eq!(made.write(vmcs::ENTRY_CONTROLS, 1 << 2, 1 << 2), denied);
    }

    #[test]
    fn control_registers_keep_what_the_module_owns() {
        let mut made = made();
        assert!(made.write(vmcs::GUEST_CR0, 0x8001_0033, u64::MAX).is_ok());
        assert_eq!(made.read(vmcs::GUEST_CR0), Ok(0x8001_0033));
        let without_ne = made.write(vmcs::GUEST_CR0, 0x8001_0013, u64::MAX);
        assert_eq!(without_ne, NOT_VALID);
        assert!(made.write(vmcs::GUEST_CR4, 0x2060, u64::MAX).is_ok());
        let without_vmxe = made.write(vmcs::GUEST_CR4, 0x60, u64::MAX);
        assert_eq!(without_vmxe, NOT_VALID);
        assert!(made.write(vmcs::GUEST_CR4, 1 << 5, 1 << 5).is_ok());
    }

    #[test]
    fn addresses_and_controls_are_checked() {
        let mut made = made();
        let page = vmcs::VIRTUAL_APIC_PAGE;
        assert_eq!(made.write(page, 0x1008, u64::MAX), NOT_VALID);
        assert_eq!(made.write(page, 1 << 47, u64::MAX), NOT_VALID);
        assert!(made.write(page, 0x1000, u64::MAX).is_ok());
        assert_eq!(made.read(page), Ok(0x1000));
        assert!(made.write(vmcs::PRIMARY_CONTROLS, 4, 4).is_ok());
        let rdtsc = u64::from(control::primary::RDTSC);
        assert_eq!(made.write(vmcs::PRIMARY_CONTROLS, rdtsc, rdtsc), NOT_VALID);
        let mbec = u64::from(control::secondary::MODE_BASED_EXECUTE);
        assert!(made.write(vmcs::SECONDARY_CONTROLS, mbec, mbec).is_ok());
    }
}
