//! Delivery of an event through the guest's IDT in 64-bit mode, where QEMU's EVENTINJ is wrong: it
//! drops the error code of #VC, #CP and #SX, takes exception 31 for an invalid one, and can deliver
//! an external interrupt a second time, whatever RFLAGS.IF is. Source: APM vol. 2, 8.9.

use crate::{
    memory::walk::{self, Physical},
    svm::vcpu::{Vcpu, reg},
};
use tessera_defs::snp::vmsa::Segment;

/// RFLAGS bits: TF, IF, NT, RF, VM.
/// G, in the attributes of a segment's image (APM vol. 2, 15.5.1).
const GRANULARITY: u16 = 1 << 11;
/// Present, code, L.
const CODE64: u16 = 1 << 9 | 0x98;
const TF: u64 = 1 << 8;
const IF: u64 = 1 << 9;
const CLEARED: u64 = TF | 1 << 14 | 1 << 16 | 1 << 17;

/// The event could not be delivered: a double fault, which our guests never handle, so a
/// shutdown.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Undeliverable;

/// Vectors whose event this module delivers. The error code is pushed where the vector has one.
pub fn by_hand(vector: u8) -> bool {
    has_error(vector) || vector >= 31
}

/// #CP, #VC, #SX.
fn has_error(vector: u8) -> bool {
    matches!(vector, 21 | 29 | 30)
}

/// Delivers `vector` with `error`, which counts where the vector has one; RIP stays.
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
    let selector = (low >> 16) as u16 & !3;
    let code = code_segment(&save, memory, selector)?;
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
    let skip = usize::from(!has_error(vector));
    let top = (stack & !15) - 48 + skip as u64 * 8;
    for (i, value) in frame[skip..].iter().enumerate() {
        walk::write_u64(&save, memory, top + i as u64 * 8, *value)?;
    }
    vcpu.regs[reg::RSP] = top;
    let save = &mut vcpu.vmcb.save;
    save.rip = target;
    save.cs = code;
    if user {
        // Null, of the new privilege (APM vol. 2, 8.9.3).
        save.ss = Segment::default();
    }
    save.cpl = 0;
    save.rflags &= !(CLEARED | if kind == 0xE { IF } else { 0 });
    vcpu.vmcb.control.interrupt_shadow = 0;
    Some(())
}

/// The 64-bit code segment of the gate, from the GDT (APM vol. 2, 4.7.2).
fn code_segment(
    save: &crate::svm::vmcb::Save,
    memory: &mut dyn Physical,
    selector: u16,
) -> Option<Segment> {
    let entry = walk::read_u64(save, memory, save.gdtr.base + u64::from(selector))?;
    let attrib = (entry >> 40 & 0xFF | entry >> 44 & 0xF00) as u16;
    let limit = (entry & 0xFFFF | entry >> 32 & 0xF_0000) as u32;
    let limit = match attrib & GRANULARITY {
        0 => limit,
        _ => limit << 12 | 0xFFF,
    };
    let fits = u64::from(selector) + 7 <= u64::from(save.gdtr.limit) && selector != 0;
    (fits && attrib & CODE64 == CODE64).then_some(Segment {
        selector,
        attrib,
        limit,
        base: 0,
    })
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::svm::bitmaps::Bitmaps;
    use std::{boxed::Box, collections::BTreeMap};

    /// Words by address; reading what was never written is a fault.
    #[derive(Default)]
    struct Words(BTreeMap<u64, u64>);

    impl Physical for Words {
        fn read_u64(&mut self, gpa: u64) -> Option<u64> {
            self.0.get(&gpa).copied()
        }

        fn write_u64(&mut self, gpa: u64, value: u64) -> Option<()> {
            self.0.insert(gpa, value);
            Some(())
        }
    }

    /// Paging off: addresses are physical. Gate 29 goes to 0x1234_5678 by IST `ist`.
    fn guest(cpl: u8, ist: u64) -> (Vcpu, Words) {
        let mut vcpu = Vcpu::new(Box::leak(Bitmaps::new()), 0);
        let save = &mut vcpu.vmcb.save;
        save.efer = tessera_defs::x86::efer::LMA;
        (save.idtr.base, save.idtr.limit, save.tr.base) = (0x1000, 4095, 0x3000);
        (save.rip, save.cpl, save.rflags) = (0x777, cpl, 0x202);
        (save.gdtr.base, save.gdtr.limit) = (0x5000, 0x17);
        vcpu.regs[reg::RSP] = 0x9008;
        let mut words = Words::default();
        words.0.insert(0x5008, 0x0020_9B00_0000_0000);
        let gate = 0x5678 | 8 << 16 | ist << 32 | 0x8E << 40 | 0x1234 << 48;
        words.0.extend([(0x11D0, gate), (0x11D8, 0)]);
        // RSP0 = 0x8000 at 0x3004 and IST1 = 0x7000 at 0x3024.
        words.0.extend([(0x3000, 0x8000 << 32), (0x3008, 0)]);
        words.0.extend([(0x3020, 0x7000 << 32), (0x3028, 0)]);
        (vcpu, words)
    }

    #[test]
    fn the_stack_is_the_one_of_privilege_or_ist() {
        for (cpl, ist, top) in [
            (0, 0, 0x9000),
            (3, 0, 0x8000),
            (0, 1, 0x7000),
            (3, 1, 0x7000),
        ] {
            let (mut vcpu, mut words) = guest(cpl, ist);
            deliver(&mut vcpu, &mut words, 29, 0x72).unwrap();
            assert_eq!(vcpu.regs[reg::RSP], top - 48);
            assert_eq!(vcpu.vmcb.save.rip, 0x1234_5678);
            assert_eq!(vcpu.vmcb.save.rflags, 2, "an interrupt gate clears IF");
            assert_eq!(vcpu.vmcb.save.cpl, 0);
            let pushed: std::vec::Vec<u64> = (0..6).map(|i| words.0[&(top - 48 + i * 8)]).collect();
            assert_eq!(pushed, [0x72, 0x777, 0, 0x202, 0x9008, 0]);
        }
    }

    #[test]
    fn an_interrupt_has_no_error_code() {
        let (mut vcpu, mut words) = guest(0, 0);
        let gate = 0x5678 | 8 << 16 | 0x8E << 40 | 0x1234 << 48;
        words.0.extend([(0x1400, gate), (0x1408, 0)]);
        deliver(&mut vcpu, &mut words, 64, 7).unwrap();
        assert_eq!(vcpu.regs[reg::RSP], 0x9000 - 40);
        assert_eq!(words.0[&(0x9000 - 40)], 0x777);
    }

    #[test]
    fn code_comes_from_the_descriptor() {
        let (mut vcpu, mut words) = guest(0, 0);
        deliver(&mut vcpu, &mut words, 29, 0).unwrap();
        let cs = vcpu.vmcb.save.cs;
        assert_eq!((cs.selector, cs.attrib, cs.limit), (8, 0x29B, 0));
        words.0.insert(0x5008, 0x00AF_9B00_0000_FFFF);
        deliver(&mut vcpu, &mut words, 29, 0).unwrap();
        let cs = vcpu.vmcb.save.cs;
        assert_eq!((cs.attrib, cs.limit), (0xA9B, u32::MAX));
        vcpu.vmcb.save.gdtr.limit = 8;
        assert_eq!(deliver(&mut vcpu, &mut words, 29, 0), Err(Undeliverable));
    }

    #[test]
    fn a_missing_gate_is_a_double_fault() {
        let (mut vcpu, mut words) = guest(0, 0);
        vcpu.vmcb.save.idtr.limit = 100;
        assert_eq!(deliver(&mut vcpu, &mut words, 29, 0), Err(Undeliverable));
        assert_eq!(vcpu.vmcb.save.rip, 0x777);
    }
}
