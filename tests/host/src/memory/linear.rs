//! The linear address of an instruction's memory operand, which SVM does not report and Intel
//! does. Source: APM vol. 3, 1.2 to 1.4 (instruction encoding in 64-bit mode).

use crate::svm::vmcb::Save;

/// The address of the operand of a one-byte or 0F opcode with a ModRM byte, in 64-bit mode.
/// `None`: no such instruction, or a register operand.
pub fn operand(bytes: &[u8], save: &Save, regs: &[u64; 16]) -> Option<u64> {
    let (mut at, mut rex, mut segment) = (0, 0u8, 0);
    loop {
        match bytes.get(at)? {
            0x64 => segment = save.fs.base,
            0x65 => segment = save.gs.base,
            0x66 | 0xF0 | 0xF2 | 0xF3 | 0x26 | 0x2E | 0x36 | 0x3E => {}
            byte @ 0x40..=0x4F => {
                rex = *byte;
                at += 1;
                break;
            }
            _ => break,
        }
        at += 1;
    }
    at += if *bytes.get(at)? == 0x0F { 2 } else { 1 };
    let modrm = *bytes.get(at)?;
    let (mode, rm) = (modrm >> 6, modrm & 7);
    let register = |low: u8, high: u8| regs[usize::from(low | high << 3)];
    at += 1;
    let mut address = 0u64;
    let mut base = Some((rm, rex & 1));
    if rm == 4 {
        let sib = *bytes.get(at)?;
        at += 1;
        let index = sib >> 3 & 7 | (rex & 2) << 2;
        if index != 4 {
            address = regs[usize::from(index)] << (sib >> 6);
        }
        base = Some((sib & 7, rex & 1));
    }
    let number = |at: usize, count: usize| -> Option<u64> {
        let found = bytes.get(at..at + count)?;
        let value = found
            .iter()
            .rev()
            .fold(0u64, |sum, byte| sum << 8 | u64::from(*byte));
        let unused = 64 - 8 * count as u32;
        Some(((value << unused) as i64 >> unused) as u64)
    };
    let displacement = match mode {
        0 if rm == 5 => return None,
        0 if rm == 4 && base.is_some_and(|(low, _)| low == 5) => {
            base = None;
            number(at, 4)?
        }
        0 => 0,
        1 => number(at, 1)?,
        2 => number(at, 4)?,
        _ => return None,
    };
    if let Some((low, high)) = base {
        address = address.wrapping_add(register(low, high));
    }
    Some(address.wrapping_add(displacement).wrapping_add(segment))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::svm::{bitmaps::Bitmaps, vcpu::Vcpu};
    use alloc::boxed::Box;

    #[test]
    fn addresses_are_added_up() {
        let bitmaps: &'static Bitmaps = Box::leak(Bitmaps::new());
        let mut vcpu = Vcpu::new(bitmaps, 0);
        vcpu.vmcb.save.gs.base = 0x10_0000;
        let mut regs = [0; 16];
        (regs[0], regs[1], regs[12]) = (0x1000, 0x20, 0x3000);
        let at = |bytes: &[u8]| operand(bytes, &vcpu.vmcb.save, &regs);
        // mov [rax], esi; mov eax, [rax+0x10]; mov eax, [rax-8]
        assert_eq!(at(&[0x89, 0x30]), Some(0x1000));
        assert_eq!(at(&[0x8B, 0x40, 0x10]), Some(0x1010));
        assert_eq!(at(&[0x8B, 0x40, 0xF8]), Some(0xFF8));
        // mov eax, [r12+rcx*4+0x100]; mov eax, gs:[rax]; movzx eax, byte [rax]
        assert_eq!(at(&[0x41, 0x8B, 0x84, 0x8C, 0, 1, 0, 0]), Some(0x3180));
        assert_eq!(at(&[0x65, 0x8B, 0x00]), Some(0x10_1000));
        assert_eq!(at(&[0x0F, 0xB6, 0x00]), Some(0x1000));
        assert_eq!(at(&[0x89, 0xC0]), None);
    }
}
