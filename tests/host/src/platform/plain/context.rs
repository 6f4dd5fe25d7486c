//! The native VP context of an IGVM file. Source: `IgvmNativeVpContextX64` in `igvm_defs` 0.5.

use crate::svm::vcpu::Vcpu;
use alloc::string::String;
use tessera_defs::{
    snp::vmsa::{self, Segment},
    x86::efer,
};

/// IGVM order of general registers: RAX RCX RDX RBX RSP RBP RSI RDI R8..R15 is ours too.
const REGISTERS: usize = 16;

/// Sets the processor as the context says. Errors: a short context.
pub fn load(vcpu: &mut Vcpu, bytes: &[u8]) -> Result<(), String> {
    if bytes.len() < 232 {
        return Err("the native VP context is short".into());
    }
    let word = |at: usize| {
        let mut word = [0; 8];
        word.copy_from_slice(&bytes[at..at + 8]);
        u64::from_le_bytes(word)
    };
    let half = |at: usize| u16::from_le_bytes([bytes[at], bytes[at + 1]]);
    for (i, value) in vcpu.regs.iter_mut().enumerate().take(REGISTERS) {
        *value = word(i * 8);
    }
    let segment = |at: usize| Segment {
        selector: half(at),
        attrib: half(at + 2) & 0xFF | half(at + 2) >> 4 & 0xF00,
        base: word(at + 4) & 0xFFFF_FFFF,
        limit: (word(at + 8) & 0xFFFF_FFFF) as u32,
    };
    let save = &mut vcpu.vmcb.save;
    save.rip = word(128);
    save.rflags = word(136) | 2;
    save.idtr = Segment {
        base: word(144),
        limit: half(152).into(),
        ..Segment::default()
    };
    save.gdtr = Segment {
        base: word(160),
        limit: half(158).into(),
        ..Segment::default()
    };
    save.cs = segment(168);
    let data = segment(180);
    (save.ss, save.ds, save.es, save.fs, save.gs) = (data, data, data, data, data);
    save.gs.base = word(192);
    save.tr = Segment {
        attrib: vmsa::ATTRIB_TSS,
        limit: 0xFFFF,
        ..Segment::default()
    };
    save.ldtr = Segment {
        attrib: vmsa::ATTRIB_LDT,
        limit: 0xFFFF,
        ..Segment::default()
    };
    (save.cr0, save.cr3, save.cr4) = (word(200), word(208), word(216));
    save.efer = word(224) | efer::SVME;
    Ok(())
}
