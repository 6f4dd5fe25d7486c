//! Instructions that touch device memory: what a hypervisor must decode, because the processor
//! gives only the address. Source: APM vol. 3, opcode map.

/// What goes over the bus.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Operand {
    /// A load into this register (number as encoded; for a byte without REX, 4..7 are AH..BH).
    Load {
        /// Register.
        register: usize,
        /// The register is one of AH, CH, DH, BH.
        high: bool,
        /// Bytes that the register changes: 4 and 8 clear the rest as the processor does.
        into: u8,
        /// The value's sign is extended to `into` bytes.
        signed: bool,
    },
    /// A store of this register.
    Store {
        /// Register.
        register: usize,
        /// The register is one of AH, CH, DH, BH.
        high: bool,
    },
    /// A store of this value.
    Immediate(u64),
}

/// One access.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Access {
    /// Load or store.
    pub operand: Operand,
    /// Bytes on the bus.
    pub size: u8,
    /// Bytes of the instruction.
    pub length: u64,
}

/// Prefixes.
#[derive(Clone, Copy, Default)]
struct Prefix {
    operand: bool,
    rex: u8,
}

/// Decodes MOV, MOVZX and MOVSX with a memory operand, 64-bit mode. `None`: another instruction.
pub fn decode(bytes: &[u8]) -> Option<Access> {
    let mut prefix = Prefix::default();
    let mut at = 0;
    loop {
        match bytes.get(at)? {
            0x66 => prefix.operand = true,
            0x26 | 0x2E | 0x36 | 0x3E | 0x64 | 0x65 | 0x67 => {}
            rex @ 0x40..=0x4F => {
                prefix.rex = *rex;
                at += 1;
                break;
            }
            _ => break,
        }
        at += 1;
    }
    let wide = match (prefix.rex & 8 != 0, prefix.operand) {
        (true, _) => 8,
        (_, true) => 2,
        _ => 4,
    };
    let (opcode, rest) = (*bytes.get(at)?, &bytes[at + 1..]);
    let (operand, size, length) = match opcode {
        0x88 | 0x89 => store(prefix, rest, if opcode == 0x88 { 1 } else { wide })?,
        0x8A | 0x8B => {
            let size = if opcode == 0x8A { 1 } else { wide };
            loaded(prefix, rest, size, size, false)?
        }
        0xC6 | 0xC7 => immediate(rest, if opcode == 0xC6 { 1 } else { wide })?,
        0x0F => {
            let size = match rest.first()? {
                0xB6 | 0xBE => 1,
                0xB7 | 0xBF => 2,
                _ => return None,
            };
            let signed = rest[0] & 8 != 0;
            let (operand, size, length) = loaded(prefix, &rest[1..], size, wide, signed)?;
            (operand, size, length + 1)
        }
        _ => return None,
    };
    Some(Access {
        operand,
        size,
        length: (at + 1 + length) as u64,
    })
}

/// Puts what a load read into its register. `registers` are numbered as encoded.
pub fn load(registers: &mut [u64; 16], access: Access, value: u64) {
    let Operand::Load {
        register,
        high,
        into,
        signed,
    } = access.operand
    else {
        return;
    };
    let unused = 64 - 8 * u32::from(access.size);
    let value = match signed {
        true => ((value << unused) as i64 >> unused) as u64,
        false => value,
    };
    let place = &mut registers[register];
    *place = match (into, high) {
        (1, true) => *place & !0xFF00 | (value & 0xFF) << 8,
        (1, false) => *place & !0xFF | value & 0xFF,
        (2, _) => *place & !0xFFFF | value & 0xFFFF,
        (4, _) => value & 0xFFFF_FFFF,
        _ => value,
    };
}

type Part = (Operand, u8, usize);

fn store(prefix: Prefix, rest: &[u8], size: u8) -> Option<Part> {
    let (register, high) = register(prefix, *rest.first()?, size);
    Some((Operand::Store { register, high }, size, memory(rest)?))
}

fn loaded(prefix: Prefix, rest: &[u8], size: u8, into: u8, signed: bool) -> Option<Part> {
    let (register, high) = register(prefix, *rest.first()?, into);
    let operand = Operand::Load {
        register,
        high,
        into,
        signed,
    };
    Some((operand, size, memory(rest)?))
}

fn immediate(rest: &[u8], size: u8) -> Option<Part> {
    if rest.first()? >> 3 & 7 != 0 {
        return None;
    }
    let start = memory(rest)?;
    let count = usize::from(size.min(4));
    let bytes = rest.get(start..start + count)?;
    let value = bytes
        .iter()
        .rev()
        .fold(0u64, |sum, byte| sum << 8 | u64::from(*byte));
    // The sign of 32 bits is extended to 64.
    let value = if size == 8 {
        value as i32 as u64
    } else {
        value
    };
    Some((Operand::Immediate(value), size, start + count))
}

fn register(prefix: Prefix, modrm: u8, size: u8) -> (usize, bool) {
    let number = usize::from(modrm >> 3 & 7 | (prefix.rex & 4) << 1);
    match size == 1 && prefix.rex == 0 && (4..8).contains(&number) {
        true => (number - 4, true),
        false => (number, false),
    }
}

/// Bytes of ModRM, SIB and displacement; `None` for a register operand.
fn memory(rest: &[u8]) -> Option<usize> {
    let modrm = *rest.first()?;
    let (mode, rm) = (modrm >> 6, modrm & 7);
    let sib = usize::from(rm == 4);
    let base = if rm == 4 { *rest.get(1)? & 7 } else { rm };
    Some(
        1 + sib
            + match mode {
                0 if base == 5 => 4,
                0 => 0,
                1 => 1,
                2 => 4,
                _ => return None,
            },
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    fn into(register: usize, into: u8) -> Operand {
        Operand::Load {
            register,
            high: false,
            into,
            signed: false,
        }
    }

    #[test]
    fn moves_are_decoded() {
        let cases: [(&[u8], Operand, u8, u64); 7] = [
            // mov eax, [rdi+0x10]
            (&[0x8B, 0x47, 0x10], into(0, 4), 4, 3),
            // mov r9, [rip+0]
            (&[0x4C, 0x8B, 0x0D, 0, 0, 0, 0], into(9, 8), 8, 7),
            // movzx ecx, byte [rax+rbx*2]
            (&[0x0F, 0xB6, 0x0C, 0x58], into(1, 4), 1, 4),
            // mov [rcx], dh
            (
                &[0x88, 0x31],
                Operand::Store {
                    register: 2,
                    high: true,
                },
                1,
                2,
            ),
            // mov [rcx], sil
            (
                &[0x40, 0x88, 0x31],
                Operand::Store {
                    register: 6,
                    high: false,
                },
                1,
                3,
            ),
            // mov word [rax+0x12345678], 0x4321
            (
                &[0x66, 0xC7, 0x80, 0x78, 0x56, 0x34, 0x12, 0x21, 0x43],
                Operand::Immediate(0x4321),
                2,
                9,
            ),
            // mov qword [rsp], -1
            (
                &[0x48, 0xC7, 0x04, 0x24, 0xFF, 0xFF, 0xFF, 0xFF],
                Operand::Immediate(u64::MAX),
                8,
                8,
            ),
        ];
        for (bytes, operand, size, length) in cases {
            let expected = Access {
                operand,
                size,
                length,
            };
            assert_eq!(decode(bytes), Some(expected), "{bytes:x?}");
        }
    }

    #[test]
    fn loads_change_what_the_processor_would() {
        let mut registers = [u64::MAX; 16];
        load(&mut registers, decode(&[0x8B, 0x47, 0x10]).unwrap(), 0x1234);
        assert_eq!(registers[0], 0x1234);
        // mov ah, [rcx]
        load(&mut registers, decode(&[0x8A, 0x21]).unwrap(), 0x56);
        assert_eq!(registers[0], 0x5634);
        // movsx edx, byte [rcx]
        load(&mut registers, decode(&[0x0F, 0xBE, 0x11]).unwrap(), 0x80);
        assert_eq!(registers[2], 0xFFFF_FF80);
    }

    #[test]
    fn other_instructions_are_not() {
        for bytes in [
            &[0x89, 0xC8][..],
            &[0xA4],
            &[0xF0, 0x89, 0x01],
            &[0x8B],
            &[],
        ] {
            assert_eq!(decode(bytes), None, "{bytes:x?}");
        }
    }
}
