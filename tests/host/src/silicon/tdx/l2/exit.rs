//! An L2 exit: what L1 finds in its registers and in the L2 VMCS. Source: 354807, TDG.VP.ENTER,
//! output operands.

use super::{segment, vmcs::Vmcs};
use crate::svm::vcpu::reg;
use tessera_defs::{tdx::status, vmx::vmcs};

/// Exit information. Fields that an exit has no use for are 0.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Exit {
    /// Completion status, without the reason.
    pub status: u64,
    /// Exit reason.
    pub reason: u32,
    /// Exit qualification.
    pub qualification: u64,
    /// Guest linear address.
    pub gla: u64,
    /// Guest physical address.
    pub gpa: u64,
    /// Interruption information and error code.
    pub interruption: (u32, u32),
    /// IDT-vectoring information and error code.
    pub vectoring: (u32, u32),
    /// Instruction information.
    pub information: u32,
    /// Instruction length.
    pub length: u32,
    /// Extended qualification.
    pub extended: u64,
}

impl Exit {
    /// An exit of an instruction of `length` bytes.
    pub fn instruction(reason: u32, length: u64) -> Self {
        Self {
            status: status::SUCCESS,
            reason,
            length: length as u32,
            ..Self::default()
        }
    }

    /// An exit for another reason.
    pub fn event(reason: u32) -> Self {
        Self::instruction(reason, 0)
    }

    /// Writes the exit fields of the VMCS; the event of the entry is done with.
    pub fn record(&self, fields: &mut Vmcs) {
        for (encoding, value) in [
            (vmcs::EXIT_REASON, self.reason.into()),
            (vmcs::EXIT_QUALIFICATION, self.qualification),
            (vmcs::GUEST_LINEAR_ADDRESS, self.gla),
            (vmcs::GUEST_PHYSICAL_ADDRESS, self.gpa),
            (vmcs::EXIT_INTERRUPTION_INFO, self.interruption.0.into()),
            (
                vmcs::EXIT_INTERRUPTION_ERROR_CODE,
                self.interruption.1.into(),
            ),
            (vmcs::IDT_VECTORING_INFO, self.vectoring.0.into()),
            (vmcs::IDT_VECTORING_ERROR_CODE, self.vectoring.1.into()),
            (vmcs::EXIT_INSTRUCTION_LENGTH, self.length.into()),
            (vmcs::EXIT_INSTRUCTION_INFO, self.information.into()),
        ] {
            fields.set(encoding, value);
        }
        let info = fields.get(vmcs::ENTRY_INTERRUPTION_INFO);
        fields.set(vmcs::ENTRY_INTERRUPTION_INFO, info & 0x7FFF_FFFF);
    }

    /// Writes L1's registers. RSP stays; RBP is the L2 VM's.
    pub fn registers(&self, fields: &Vmcs, l2: &[u64; 16], l1: &mut [u64; 16]) {
        let pair = |(low, high): (u32, u32)| u64::from(high) << 32 | u64::from(low);
        let rights = segment::rights(fields, segment::CS) & 0xFFFF;
        let selector = u32::from(segment::selector(fields, segment::CS));
        let cs = (rights << 16 | selector, segment::limit(fields, segment::CS));
        l1[reg::RAX] = self.status | u64::from(self.reason);
        l1[reg::RCX] = self.qualification;
        l1[reg::RDX] = self.gla;
        l1[reg::RBX] = 0;
        l1[reg::RBP] = l2[reg::RBP];
        l1[reg::RSI] = pair(cs);
        l1[reg::RDI] = segment::base(fields, segment::CS);
        l1[reg::R8] = self.gpa;
        l1[9] = pair(self.interruption);
        l1[10] = pair(self.vectoring);
        l1[11] = pair((self.information, self.length));
        l1[12] = u64::from(segment::rights(fields, segment::SS) >> 5 & 3);
        l1[13] = self.extended;
        l1[14] = 0;
        l1[15] = 0;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use tessera_defs::vmx;

    #[test]
    fn registers_are_where_the_document_says() {
        let mut fields = Vmcs::new(u64::MAX);
        fields.set(vmcs::GUEST_CS_SELECTOR, 0x10);
        fields.set(vmcs::GUEST_SS_AR, 0xC0F3);
        fields.set(vmcs::ENTRY_INTERRUPTION_INFO, 0x8000_0020);
        let exit = Exit {
            qualification: 1,
            gla: 2,
            gpa: 3,
            interruption: (4, 5),
            vectoring: (6, 7),
            information: 8,
            extended: 6,
            ..Exit::instruction(vmx::CPUID, 2)
        };
        exit.record(&mut fields);
        assert_eq!(fields.get(vmcs::EXIT_REASON), 10);
        assert_eq!(fields.get(vmcs::ENTRY_INTERRUPTION_INFO), 0x20);
        let (mut l1, mut l2) = ([0xAA; 16], [0; 16]);
        l2[reg::RBP] = 0xBB;
        exit.registers(&fields, &l2, &mut l1);
        assert_eq!(l1[..4], [10, 1, 2, 0]);
        assert_eq!((l1[4], l1[5]), (0xAA, 0xBB), "RSP, RBP");
        assert_eq!(l1[6], 0xFFFF_FFFF_C09B_0010);
        assert_eq!(l1[8..13], [3, 5 << 32 | 4, 7 << 32 | 6, 2 << 32 | 8, 3]);
        assert_eq!(l1[13..], [6, 0, 0]);
    }
}
