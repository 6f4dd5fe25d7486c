//! The virtual-APIC page of an L2 VM: virtual-interrupt delivery and the x2APIC registers that
//! the processor serves from it. Source: Intel SDM vol. 3, chapter 30.

use tessera_defs::x86::x2apic;

const TPR: usize = 0x80;
const PPR: usize = 0xA0;
const ISR: usize = 0x100;
const IRR: usize = 0x200;
/// x2APIC register of PPR.
const MSR_PPR: u32 = 0x80A;

/// The page, with RVI and SVI of the guest interrupt status.
#[derive(Debug)]
pub struct Vapic<'a> {
    page: &'a mut [u8; 4096],
    /// Requested: the highest vector in IRR.
    pub rvi: u8,
    /// In service: the highest vector in ISR.
    pub svi: u8,
}

/// What a register access comes to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Access {
    /// Value read, or 0 after a write.
    Done(u64),
    /// The end of interrupt of this vector, which L1 wants to see.
    Eoi(u8),
    /// #GP(0).
    Fault,
}

impl<'a> Vapic<'a> {
    /// With the guest interrupt status (RVI in 7:0, SVI in 15:8).
    pub fn new(page: &'a mut [u8; 4096], status: u16) -> Self {
        Self {
            page,
            rvi: status as u8,
            svi: (status >> 8) as u8,
        }
    }

    /// The guest interrupt status.
    pub fn status(&self) -> u16 {
        u16::from(self.svi) << 8 | u16::from(self.rvi)
    }

    /// The interrupt to deliver now, if its priority is high enough.
    pub fn pending(&mut self) -> Option<u8> {
        self.virtualise_ppr();
        (self.rvi >> 4 > self.page[PPR] >> 4).then_some(self.rvi)
    }

    /// It was delivered.
    pub fn deliver(&mut self, vector: u8) {
        self.set(ISR, vector, true);
        self.set(IRR, vector, false);
        self.svi = vector;
        self.rvi = self.highest(IRR);
        self.virtualise_ppr();
    }

    fn virtualise_ppr(&mut self) {
        let (tpr, served) = (self.page[TPR], self.svi & 0xF0);
        self.page[PPR] = if tpr >> 4 >= self.svi >> 4 {
            tpr
        } else {
            served
        };
    }

    /// RDMSR of an x2APIC register that the processor virtualises.
    pub fn read(&mut self, msr: u32) -> Access {
        match msr {
            x2apic::TPR => Access::Done(self.page[TPR].into()),
            MSR_PPR => Access::Done(self.page[PPR].into()),
            0x810..=0x827 => {
                let at = (msr as usize - 0x800) * 16;
                let word = [0, 1, 2, 3].map(|i| self.page[at + i]);
                Access::Done(u32::from_le_bytes(word).into())
            }
            _ => Access::Fault,
        }
    }

    /// WRMSR; `exits`: vectors whose end of interrupt L1 wants.
    pub fn write(&mut self, msr: u32, value: u64, exits: [u64; 4]) -> Access {
        match msr {
            x2apic::TPR if value <= 0xFF => {
                self.page[TPR] = value as u8;
                self.virtualise_ppr();
            }
            x2apic::EOI if value == 0 => {
                let vector = self.svi;
                self.set(ISR, vector, false);
                self.svi = self.highest(ISR);
                self.virtualise_ppr();
                if exits[usize::from(vector) / 64] >> (vector % 64) & 1 == 1 {
                    return Access::Eoi(vector);
                }
            }
            x2apic::SELF_IPI if (16..=0xFF).contains(&value) => {
                self.set(IRR, value as u8, true);
                self.rvi = self.rvi.max(value as u8);
            }
            _ => return Access::Fault,
        }
        Access::Done(0)
    }

    fn set(&mut self, registers: usize, vector: u8, value: bool) {
        let vector = usize::from(vector);
        let byte = &mut self.page[registers + vector / 32 * 16 + vector % 32 / 8];
        let bit = 1u8 << (vector % 8);
        *byte = if value { *byte | bit } else { *byte & !bit };
    }

    fn highest(&self, registers: usize) -> u8 {
        let held = |vector: usize| {
            self.page[registers + vector / 32 * 16 + vector % 32 / 8] >> (vector % 8) & 1 == 1
        };
        (0..=255).rev().find(|vector| held(*vector)).unwrap_or(0) as u8
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn interrupts_are_served_by_priority() {
        let mut page = [0; 4096];
        // IRR of 0x31 and 0x52.
        page[IRR + 16 + 2] = 2;
        page[IRR + 32 + 2] = 4;
        let mut apic = Vapic::new(&mut page, 0x52);
        assert_eq!(apic.pending(), Some(0x52));
        apic.deliver(0x52);
        assert_eq!((apic.svi, apic.rvi), (0x52, 0x31));
        assert_eq!(apic.pending(), None, "lower class");
        assert_eq!(apic.read(MSR_PPR), Access::Done(0x50));
        assert_eq!(apic.read(0x812), Access::Done(1 << 18));
        let exits = [0, 1 << (0x52 - 64), 0, 0];
        assert_eq!(apic.write(x2apic::EOI, 0, exits), Access::Eoi(0x52));
        assert_eq!(apic.pending(), Some(0x31));
        assert_eq!(apic.write(x2apic::TPR, 0x40, exits), Access::Done(0));
        assert_eq!(apic.pending(), None);
        assert_eq!(apic.write(x2apic::SELF_IPI, 0x60, exits), Access::Done(0));
        assert_eq!((apic.pending(), apic.status()), (Some(0x60), 0x60));
    }

    #[test]
    fn the_rest_faults() {
        let mut page = [0; 4096];
        let mut apic = Vapic::new(&mut page, 0);
        assert_eq!(apic.read(0x80C), Access::Fault);
        assert_eq!(apic.write(x2apic::EOI, 1, [0; 4]), Access::Fault);
        assert_eq!(apic.write(x2apic::SELF_IPI, 3, [0; 4]), Access::Fault);
        assert_eq!(apic.write(MSR_PPR, 0, [0; 4]), Access::Fault);
    }
}
