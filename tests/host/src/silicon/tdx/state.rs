//! The state in which the module starts a processor. Source: 348549, "Initial State of TD
//! VCPUs": 32-bit protected mode at the reset vector, EFER.LME set and fixed.

use crate::svm::vcpu::{Vcpu, reg};
use tessera_defs::{snp::vmsa::{ATTRIB_DATA, ATTRIB_LDT, ATTRIB_TSS, Segment}, tdx::page, x86::efer};

/// Reset vector.
pub const RESET_VECTOR: u64 = 0xFFFF_FFF0;
/// Present, code, readable, accessed, 4 KiB granularity, 32 bit.
const ATTRIB_CODE32: u16 = 0xC9B;
/// PE, ET, NE.
const CR0: u64 = 1 << 0 | 1 << 4 | 1 << 5;
/// MCE.
const CR4: u64 = 1 << 6;

/// Starts processor `index`. SVME is the model's own: SVM demands it.
pub fn reset(vcpu: &mut Vcpu, index: u32) {
    let flat = |attrib| Segment { attrib, limit: u32::MAX, ..Segment::default() };
    let save = &mut vcpu.vmcb.save;
    save.cs = flat(ATTRIB_CODE32);
    let data = flat(ATTRIB_DATA);
    (save.ss, save.ds, save.es, save.fs, save.gs) = (data, data, data, data, data);
    save.tr = Segment { attrib: ATTRIB_TSS, limit: 0xFFFF, ..Segment::default() };
    save.ldtr = Segment { attrib: ATTRIB_LDT, limit: 0xFFFF, ..Segment::default() };
    save.gdtr = Segment::default();
    save.idtr = Segment::default();
    (save.cr0, save.cr4, save.cr3) = (CR0, CR4, 0);
    save.efer = efer::LME | efer::NXE | efer::SCE | efer::SVME;
    save.rip = RESET_VECTOR;
    save.rflags = 2;
    vcpu.regs = [0; 16];
    vcpu.regs[reg::RBX] = page::GPAW;
    vcpu.regs[reg::RSI] = index.into();
}
