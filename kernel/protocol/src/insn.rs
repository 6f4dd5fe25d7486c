//! A small decoder for the instructions that drivers use on MMIO, in 64-bit mode. A #VC does not
//! say which address was meant: `operand` computes it. Source: APM vol. 3 (24594), opcode maps.

mod operand;

pub use operand::address;

/// Longest instruction.
pub const MAX_LENGTH: usize = 15;

/// Where a datum comes from or goes to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Action {
    /// Memory := the low bytes of this register (or AH..BH, with `high`).
    Store {
        /// Number, 0 to 15.
        register: u8,
        /// Bits 15:8 of it.
        high: bool,
    },
    /// Memory := this value.
    StoreImmediate(u64),
    /// Register := memory, extended to `into` bytes.
    Load {
        /// Number, 0 to 15.
        register: u8,
        /// Bits 15:8 of it.
        high: bool,
        /// Bytes written to the register.
        into: u8,
        /// By sign (MOVSX) instead of zero.
        signed: bool,
    },
}

/// One decoded MMIO instruction.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Instruction {
    /// What it does.
    pub action: Action,
    /// Bytes of memory: 1, 2, 4, 8.
    pub size: u8,
    /// Bytes of the instruction.
    pub length: u8,
}

/// Why an instruction is refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Refused {
    /// Ends before the instruction does.
    Truncated,
    /// MOVS: two memory operands.
    Movs,
    /// STOS.
    Stos,
    /// LODS.
    Lods,
    /// INS or OUTS.
    StringIo,
    /// LOCK or REP on an instruction that we take only without.
    Prefix(u8),
    /// No memory operand.
    NoMemory,
    /// An opcode that drivers do not use on MMIO (0F xx as 0x0Fxx).
    Opcode(u16),
}

/// Prefixes of one instruction.
#[derive(Clone, Copy, Default)]
struct Prefixes {
    operand16: bool,
    refused: Option<u8>,
    rex: u8,
}

struct Bytes<'a> {
    bytes: &'a [u8],
    at: usize,
}

impl Bytes<'_> {
    fn next(&mut self) -> Result<u8, Refused> {
        let limit = self.bytes.len().min(MAX_LENGTH);
        let byte = *self.bytes[..limit].get(self.at).ok_or(Refused::Truncated)?;
        self.at += 1;
        Ok(byte)
    }

    fn skip(&mut self, count: usize) -> Result<(), Refused> {
        (0..count).try_for_each(|_| self.next().map(|_| ()))
    }

    /// Little-endian immediate of `count` bytes (1, 2, 4), extended by sign.
    fn immediate(&mut self, count: u8) -> Result<u64, Refused> {
        let mut value = 0;
        for i in 0..count {
            value |= u64::from(self.next()?) << (8 * i);
        }
        Ok(extend(value, count, true))
    }
}

/// Decodes the instruction at the start of `bytes`.
pub fn decode(bytes: &[u8]) -> Result<Instruction, Refused> {
    let mut bytes = Bytes { bytes, at: 0 };
    let (prefixes, opcode) = prefixes(&mut bytes)?;
    let wide = prefixes.size();
    refuse_strings(opcode)?;
    if let Some(prefix) = prefixes.refused {
        return Err(Refused::Prefix(prefix));
    }
    let (action, size) = match opcode {
        0x88 => (store(&prefixes, modrm(&mut bytes)?, 1), 1),
        0x89 => (store(&prefixes, modrm(&mut bytes)?, wide), wide),
        0x8A => (load(&prefixes, modrm(&mut bytes)?, 1, false), 1),
        0x8B => (load(&prefixes, modrm(&mut bytes)?, wide, false), wide),
        0xC6 => (store_immediate(&mut bytes, opcode, 1)?, 1),
        0xC7 => (store_immediate(&mut bytes, opcode, wide)?, wide),
        0x63 if wide == 8 => (load(&prefixes, modrm(&mut bytes)?, 8, true), 4),
        0x0FB6 => (load(&prefixes, modrm(&mut bytes)?, wide, false), 1),
        0x0FB7 => (load(&prefixes, modrm(&mut bytes)?, wide, false), 2),
        0x0FBE => (load(&prefixes, modrm(&mut bytes)?, wide, true), 1),
        0x0FBF => (load(&prefixes, modrm(&mut bytes)?, wide, true), 2),
        other => return Err(Refused::Opcode(other)),
    };
    Ok(Instruction {
        action,
        size,
        length: bytes.at as u8,
    })
}

/// `value` of `from` bytes as 64 bits, by sign or by zero.
pub fn extend(value: u64, from: u8, signed: bool) -> u64 {
    let shift = 64 - 8 * u32::from(from.clamp(1, 8));
    if signed {
        ((value << shift) as i64 >> shift) as u64
    } else {
        value << shift >> shift
    }
}

impl Prefixes {
    fn size(&self) -> u8 {
        match (self.rex & 8 != 0, self.operand16) {
            (true, _) => 8,
            (false, true) => 2,
            (false, false) => 4,
        }
    }

    /// Number and `high` of the register field of a ModRM byte.
    fn register(&self, modrm: u8, size: u8) -> (u8, bool) {
        let number = modrm >> 3 & 7 | (self.rex & 4) << 1;
        let high = size == 1 && self.rex == 0 && number >= 4;
        (if high { number - 4 } else { number }, high)
    }
}

/// A REX prefix counts only where it stands last.
fn prefixes(bytes: &mut Bytes<'_>) -> Result<(Prefixes, u16), Refused> {
    let mut found = Prefixes::default();
    loop {
        let byte = bytes.next()?;
        match byte {
            0x66 => found.operand16 = true,
            0x67 | 0x26 | 0x2E | 0x36 | 0x3E | 0x64 | 0x65 => {}
            0xF0 | 0xF2 | 0xF3 => found.refused = Some(byte),
            0x40..=0x4F => {
                found.rex = byte;
                continue;
            }
            0x0F => return Ok((found, 0x0F00 | u16::from(bytes.next()?))),
            _ => return Ok((found, byte.into())),
        }
        found.rex = 0;
    }
}

fn refuse_strings(opcode: u16) -> Result<(), Refused> {
    match opcode {
        0xA4 | 0xA5 => Err(Refused::Movs),
        0xAA | 0xAB => Err(Refused::Stos),
        0xAC | 0xAD => Err(Refused::Lods),
        0x6C..=0x6F => Err(Refused::StringIo),
        _ => Ok(()),
    }
}

/// Reads ModRM, SIB and displacement (APM vol. 3, 1.4); the ModRM byte.
fn modrm(bytes: &mut Bytes<'_>) -> Result<u8, Refused> {
    let modrm = bytes.next()?;
    let (mode, rm) = (modrm >> 6, modrm & 7);
    if mode == 3 {
        return Err(Refused::NoMemory);
    }
    let base = if rm == 4 { bytes.next()? & 7 } else { rm };
    bytes.skip(match mode {
        0 if base == 5 => 4,
        0 => 0,
        1 => 1,
        _ => 4,
    })?;
    Ok(modrm)
}

fn store(prefixes: &Prefixes, modrm: u8, size: u8) -> Action {
    let (register, high) = prefixes.register(modrm, size);
    Action::Store { register, high }
}

fn load(prefixes: &Prefixes, modrm: u8, into: u8, signed: bool) -> Action {
    let (register, high) = prefixes.register(modrm, into);
    Action::Load {
        register,
        high,
        into,
        signed,
    }
}

/// C6 /0 and C7 /0. An immediate for 8 bytes has 4, extended by sign.
fn store_immediate(bytes: &mut Bytes<'_>, opcode: u16, size: u8) -> Result<Action, Refused> {
    if modrm(bytes)? >> 3 & 7 != 0 {
        return Err(Refused::Opcode(opcode));
    }
    Ok(Action::StoreImmediate(bytes.immediate(size.min(4))?))
}
