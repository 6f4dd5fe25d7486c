//! Delivery of an exception through the guest's IDT in 64-bit mode, for #VC: QEMU's EVENTINJ
//! drops its error code. Source: APM vol. 2, 8.9.

use crate::{
    memory::walk::{self, Physical},
    svm::vcpu::{Vcpu, reg},
};
use tessera_defs::snp::vmsa::{ATTRIB_CODE64, ATTRIB_DATA};

/// RFLAGS bits: TF, IF, NT, RF, VM.
const TF: u64 = 1 << 8;
const IF: u64 = 1 << 9;
const CLEARED: u64 = TF | 1 << 14 | 1 << 16 | 1 << 17;

/// The exception could not be delivered: a double fault, which our guests never handle, so a
/// shutdown.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Undeliverable;

/// Delivers `vector` with `error`; RIP stays at the instruction that caused it.
pub fn deliver(
    vcpu: &mut Vcpu,
    memory: &mut dyn Physical,
    vector: u8,
    error: u64,
) -> Result<(), Undeliverable> {
    deliver_frame(vcpu, memory, vector, error).ok_or(Undeliverable)
}

fn deliver_frame(vcpu: &mut Vcpu, memory: &mut dyn Physical, vector: u8, error: u64) -> Option<()> {
    let save = vcpu.vmcb.save;
    let gate_at = u64::from(vector) * 16;
    if !vcpu.long_mode() || gate_at + 15 > u64::from(save.idtr.limit) {
        return None;
    }
    let low = walk::read_u64(&save, memory, save.idtr.base + gate_at)?;
    let high = walk::read_u64(&save, memory, save.idtr.base + gate_at + 8)?;
    let kind = low >> 40 & 0xF;
    if low >> 47 & 1 == 0 || !(0xE..=0xF).contains(&kind) {
        return None;
    }
    let target = low & 0xFFFF | (low >> 48) << 16 | high << 32;
    let user = save.cpl == 3;
    let stack = match low >> 32 & 7 {
        0 if !user => vcpu.regs[reg::RSP],
        0 => task_state(&save, memory, 4)?,
        ist => task_state(&save, memory, 0x24 + (ist - 1) * 8)?,
    };
    let frame = [
        error,
        save.rip,
        save.cs.selector.into(),
        save.rflags,
        vcpu.regs[reg::RSP],
        save.ss.selector.into(),
    ];
    let top = (stack & !15) - 48;
    for (i, value) in frame.into_iter().enumerate() {
        walk::write_u64(&save, memory, top + i as u64 * 8, value)?;
    }
    vcpu.regs[reg::RSP] = top;
    let save = &mut vcpu.vmcb.save;
    save.rip = target;
    save.cs.selector = (low >> 16) as u16 & !3;
    save.cs.attrib = ATTRIB_CODE64;
    if user {
        save.ss.selector = 0;
        save.ss.attrib = ATTRIB_DATA;
    }
    save.cpl = 0;
    save.rflags &= !(CLEARED | if kind == 0xE { IF } else { 0 });
    vcpu.vmcb.control.interrupt_shadow = 0;
    Some(())
}

/// A stack pointer in the TSS; they are not aligned to eight.
fn task_state(
    save: &crate::svm::vmcb::Save,
    memory: &mut dyn Physical,
    offset: u64,
) -> Option<u64> {
    let mut bytes = [0; 8];
    let count = walk::read(save, memory, save.tr.base + offset, &mut bytes);
    (count == 8).then(|| u64::from_le_bytes(bytes))
}
