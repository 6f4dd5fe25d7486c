//! Instructions that the host recognises at RIP: QEMU gives neither next RIP nor bytes.

/// An instruction that exits.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[allow(missing_docs)]
pub enum Kind {
    Cpuid,
    Rdmsr,
    Wrmsr,
    Hlt,
    Vmmcall,
    Vmgexit,
    Vmcall,
    Tdcall,
    Seamcall,
    Pvalidate,
    Rmpadjust,
    Rmpquery,
    Wbinvd,
    Invd,
    Xsetbv,
    Rdtscp,
    Monitor,
    Mwait,
    /// MOV to a control register: its number, and that of the general register.
    MovToCr(u8, u8),
    /// MOV from a control register: its number, and that of the general register.
    MovFromCr(u8, u8),
    Clts,
    Other,
}

/// What stands at RIP.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Instruction {
    /// Which one.
    pub kind: Kind,
    /// Bytes, prefixes included.
    pub length: u64,
}

/// Decodes prefixes and one of the known opcodes.
pub fn decode(bytes: &[u8]) -> Instruction {
    let legacy = |b: &u8| matches!(*b, 0x66 | 0x67 | 0x2E | 0x36 | 0x3E | 0x26 | 0x64 | 0x65);
    let (mut at, mut repeat, mut operand, mut rex) = (0, 0u8, false, 0u8);
    while let Some(byte) = bytes.get(at) {
        match byte {
            0xF2 | 0xF3 => repeat = *byte,
            0x66 => operand = true,
            0x40..=0x4F => rex = *byte,
            0xF0 => {}
            other if legacy(other) => {}
            _ => break,
        }
        at += 1;
    }
    let (kind, opcode) = opcode(&bytes[at..], repeat, operand, rex);
    Instruction {
        kind,
        length: (at + opcode) as u64,
    }
}

fn opcode(bytes: &[u8], repeat: u8, operand: bool, rex: u8) -> (Kind, usize) {
    let control = |modrm: u8| (modrm >> 3 & 7 | rex << 1 & 8, modrm & 7 | rex << 3 & 8);
    match bytes {
        [0x0F, 0x06, ..] => (Kind::Clts, 2),
        [0x0F, 0x20, modrm, ..] => {
            let (cr, general) = control(*modrm);
            (Kind::MovFromCr(cr, general), 3)
        }
        [0x0F, 0x22, modrm, ..] => {
            let (cr, general) = control(*modrm);
            (Kind::MovToCr(cr, general), 3)
        }
        [0xF4, ..] => (Kind::Hlt, 1),
        [0x0F, 0xA2, ..] => (Kind::Cpuid, 2),
        [0x0F, 0x32, ..] => (Kind::Rdmsr, 2),
        [0x0F, 0x30, ..] => (Kind::Wrmsr, 2),
        [0x0F, 0x09, ..] => (Kind::Wbinvd, 2),
        [0x0F, 0x08, ..] => (Kind::Invd, 2),
        [0x0F, 0x01, modrm, ..] => (group7(*modrm, repeat, operand), 3),
        _ => (Kind::Other, 0),
    }
}

fn group7(modrm: u8, repeat: u8, operand: bool) -> Kind {
    match (modrm, repeat) {
        (0xD9, 0xF2 | 0xF3) => Kind::Vmgexit,
        (0xD9, _) => Kind::Vmmcall,
        (0xC1, 0) => Kind::Vmcall,
        (0xC8, 0) => Kind::Monitor,
        (0xC9, 0) => Kind::Mwait,
        (0xCC, 0) if operand => Kind::Tdcall,
        (0xCF, 0) if operand => Kind::Seamcall,
        (0xD1, 0) => Kind::Xsetbv,
        (0xF9, 0) => Kind::Rdtscp,
        (0xFF, 0xF2) => Kind::Pvalidate,
        (0xFE, 0xF3) => Kind::Rmpadjust,
        (0xFD, 0xF3) => Kind::Rmpquery,
        _ => Kind::Other,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn prefixes_tell_instructions_apart() {
        let kind = |bytes: &[u8]| decode(bytes).kind;
        assert_eq!(kind(&[0x0F, 0x01, 0xD9]), Kind::Vmmcall);
        assert_eq!(kind(&[0xF3, 0x0F, 0x01, 0xD9]), Kind::Vmgexit);
        assert_eq!(kind(&[0xF2, 0x0F, 0x01, 0xFF]), Kind::Pvalidate);
        assert_eq!(kind(&[0xF3, 0x0F, 0x01, 0xFE]), Kind::Rmpadjust);
        assert_eq!(kind(&[0x66, 0x0F, 0x01, 0xCC]), Kind::Tdcall);
        assert_eq!(kind(&[0x0F, 0x0B]), Kind::Other);
        assert_eq!(kind(&[0x0F, 0x22, 0xE1]), Kind::MovToCr(4, 1));
        assert_eq!(decode(&[0x41, 0x0F, 0x20, 0xC7]).length, 4);
        assert_eq!(kind(&[0x41, 0x0F, 0x20, 0xC7]), Kind::MovFromCr(0, 15));
        assert_eq!(kind(&[0x44, 0x0F, 0x22, 0xC0]), Kind::MovToCr(8, 0));
        assert_eq!(decode(&[0x48, 0x0F, 0x30]).length, 3);
    }
}
