//! The instruction that the current context stands at.

use super::Snp;
use crate::{
    memory::{frames::Memory, insn, walk},
    silicon::snp::{access::Seen, io},
};

/// L and D of a code segment's attributes (APM vol. 2, 15.5.1).
const CODE_LONG: u16 = 1 << 9;
const CODE_32: u16 = 1 << 10;

impl Snp {
    /// The instruction at RIP.
    pub(super) fn instruction(&mut self, memory: &mut Memory) -> insn::Instruction {
        let (bytes, count) = self.bytes(memory);
        insn::decode(&bytes[..count])
    }

    /// What stands at RIP, and how much of it could be read.
    pub(super) fn bytes(&mut self, memory: &mut Memory) -> ([u8; 15], usize) {
        let mut bytes = [0; 15];
        let Some(context) = &self.vp.contexts[self.vp.current] else {
            return (bytes, 0);
        };
        let save = &context.vcpu.vmcb.save;
        let mut seen = Seen {
            view: context.view,
            rmp: &self.rmp,
            memory,
        };
        let count = walk::read(save, &mut seen, context.vcpu.linear_rip(), &mut bytes);
        (bytes, count)
    }

    /// How wide the code is that runs.
    pub(super) fn width(&self) -> io::Width {
        let context = self.vp.contexts[self.vp.current].as_ref();
        let attrib = context.map_or(0, |context| context.vcpu.vmcb.save.cs.attrib);
        let long = context.is_some_and(|context| context.vcpu.long_mode());
        match (long && attrib & CODE_LONG != 0, attrib & CODE_32 != 0) {
            (true, _) => io::Width::W64,
            (false, true) => io::Width::W32,
            (false, false) => io::Width::W16,
        }
    }
}
