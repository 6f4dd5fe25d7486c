//! CR0 and CR4 of an L2 VM: some bits are the module's, some L1's, the rest the guest's own.
//! Source: 354807, "CR0 and CR4"; Intel SDM vol. 3, 25.6.6.

use tessera_defs::vmx::control;

/// Encoding of the tertiary processor-based controls.
pub const TERTIARY_CONTROLS: u32 = 0x2034;
/// Bits of CR0 that a write leaves as they are: 28:19, 17, 15:6.
const CR0_IGNORED: u64 = 0x1FFA_FFC0;
const CR0_PE: u64 = 1 << 0;
const CR0_NE: u64 = 1 << 5;
const CR0_PG: u64 = 1 << 31;
const CR0_CACHE: u64 = 1 << 29 | 1 << 30;
/// MCE and VMXE: 1 in an L2 VM, whatever it does.
const CR4_FIXED: u64 = control::CR4_L2_INITIAL;

/// One of the two registers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Cr {
    /// Bits that the module owns.
    base: u64,
    /// What they look like.
    base_shadow: u64,
    /// Bits that L1 owns (guest/host mask).
    pub mask: u64,
    /// What they look like (read shadow).
    pub shadow: u64,
}

/// What a write by the L2 VM comes to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Write {
    /// The register's new value.
    Done(u64),
    /// Exit to L1.
    Exit,
    /// #GP(0).
    Fault,
}

impl Cr {
    /// CR0.
    pub fn cr0() -> Self {
        Self::new(!control::CR0_L1_WRITABLE, CR0_NE)
    }

    /// CR4; `allowed` as in `Vmcs::new`.
    pub fn cr4(allowed: u64) -> Self {
        Self::new(!(control::CR4_L1_WRITABLE & allowed), CR4_FIXED)
    }

    fn new(base: u64, base_shadow: u64) -> Self {
        Self {
            base,
            base_shadow,
            mask: u64::MAX,
            shadow: 0,
        }
    }

    /// The register as L1 reads it.
    pub fn seen_by_l1(&self, real: u64) -> u64 {
        real & !self.base | self.base_shadow & self.base
    }

    /// The register after L1 wrote it; `None` where a bit of the module would change.
    pub fn written_by_l1(&self, real: u64, value: u64) -> Option<u64> {
        let same = (value ^ self.base_shadow) & self.base == 0;
        same.then_some(real & self.base | value & !self.base)
    }

    /// Bits that are not the guest's, and how they look to it.
    fn combined(&self) -> (u64, u64) {
        let module = self.base & !self.mask;
        let shadow = module & self.base_shadow | self.mask & self.shadow;
        (self.base | self.mask, shadow)
    }

    /// The register as the L2 VM reads it.
    pub fn seen_by_l2(&self, real: u64) -> u64 {
        let (mask, shadow) = self.combined();
        real & !mask | shadow
    }

    /// MOV to CR0 by the L2 VM.
    pub fn write_cr0(&self, real: u64, value: u64) -> Write {
        match self.plain(real, value) {
            Some(done) => done,
            // A bit of the module: what the processor would refuse, what L1 must see, or bits
            // that a write ignores.
            None if value & CR0_NE == 0 || value >> 32 != 0 => Write::Fault,
            None if value & (CR0_PE | CR0_PG) == CR0_PG => Write::Fault,
            None if value & CR0_CACHE != 0 => Write::Exit,
            None => Write::Done(value & !CR0_IGNORED | real & CR0_IGNORED),
        }
    }

    /// MOV to CR4 by the L2 VM.
    pub fn write_cr4(&self, real: u64, value: u64) -> Write {
        let absent = self.base & !CR4_FIXED;
        match self.plain(real, value) {
            Some(done) => done,
            None if value & absent != 0 => Write::Fault,
            None => Write::Exit,
        }
    }

    /// `None` where only a bit of the module differs from what it looks like.
    fn plain(&self, real: u64, value: u64) -> Option<Write> {
        let (mask, shadow) = self.combined();
        if (value ^ shadow) & mask == 0 {
            return Some(Write::Done(real & mask | value & !mask));
        }
        ((value ^ self.shadow) & self.mask != 0).then_some(Write::Exit)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn at_first_every_bit_is_l1s_and_reads_as_zero() {
        let cr0 = Cr::cr0();
        assert_eq!(cr0.seen_by_l2(0x8001_0033), 0);
        assert_eq!(cr0.write_cr0(0x8001_0033, 0x8001_0033), Write::Exit);
    }

    #[test]
    fn bits_that_l1_gives_up_are_the_guests() {
        let mut cr0 = Cr::cr0();
        (cr0.mask, cr0.shadow) = (0, 0);
        assert_eq!(cr0.seen_by_l2(0x8001_0033), 0x8001_0033);
        let done = cr0.write_cr0(0x8001_0033, 0x8000_0033);
        assert_eq!(done, Write::Done(0x8000_0033));
        assert_eq!(cr0.write_cr0(0x8001_0033, 0x8001_0013), Write::Fault, "NE");
        assert_eq!(cr0.write_cr0(0x8001_0033, 0xC001_0033), Write::Exit, "CD");
        let mut cr4 = Cr::cr4(0xFFFF);
        cr4.mask = 0;
        assert_eq!(
            cr4.seen_by_l2(0x20),
            0x2060,
            "the module's bits show as set"
        );
        assert_eq!(cr4.write_cr4(0x2060, 0x20E0 & !0x20), Write::Done(0x20C0));
        assert_eq!(cr4.write_cr4(0x2060, 0x60), Write::Exit, "VMXE cleared");
        assert_eq!(cr4.write_cr4(0x2060, 0x12_2060), Write::Fault, "not there");
    }

    #[test]
    fn l1_can_hide_vmxe() {
        let mut cr4 = Cr::cr4(u64::MAX);
        (cr4.mask, cr4.shadow) = (1 << 13, 0);
        assert_eq!(cr4.seen_by_l2(0x2060), 0x60);
        assert_eq!(cr4.write_cr4(0x2060, 0xE0), Write::Done(0x20E0));
    }
}
