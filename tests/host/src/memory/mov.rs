//! Plain moves of 32 bits between a register and memory, as drivers use them on device registers:
//! a plain machine's host emulates them. Source: APM vol. 3 (24594), MOV and 1.4.

/// What moves.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Move {
    /// Memory to this register.
    Load(usize),
    /// This register to memory.
    Store(usize),
    /// This value to memory.
    Value(u32),
}

/// The move at the start of `bytes` and its length; `None` for anything else.
pub fn decode(bytes: &[u8]) -> Option<(Move, u64)> {
    let (rex, rest) = match bytes {
        [rex @ 0x40..=0x47, rest @ ..] => (*rex, rest),
        rest => (0x40, rest),
    };
    let (opcode, modrm) = (*rest.first()?, *rest.get(1)?);
    let (mode, rm) = (modrm >> 6, modrm & 7);
    let sib = (rm == 4).then(|| rest.get(2)).flatten();
    let base = sib.map_or(rm, |sib| sib & 7);
    let displacement = match mode {
        3 => return None,
        0 if base == 5 => 4,
        0 => 0,
        1 => 1,
        _ => 4,
    };
    let end = 2 + usize::from(rm == 4) + displacement;
    let register = usize::from(modrm >> 3 & 7 | (rex & 4) << 1);
    let (what, end) = match opcode {
        0x8B => (Move::Load(register), end),
        0x89 => (Move::Store(register), end),
        0xC7 if modrm >> 3 & 7 == 0 => {
            let value = rest.get(end..end + 4)?.try_into().ok()?;
            (Move::Value(u32::from_le_bytes(value)), end + 4)
        }
        _ => return None,
    };
    let prefix = bytes.len() - rest.len();
    Some((what, (prefix + end) as u64))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn moves_of_compilers_are_known() {
        assert_eq!(decode(&[0x8B, 0x07]), Some((Move::Load(0), 2)));
        assert_eq!(decode(&[0x44, 0x89, 0x46, 0x10]), Some((Move::Store(8), 4)));
        assert_eq!(
            decode(&[0x41, 0x8B, 0x84, 0x24, 1, 2, 3, 4]),
            Some((Move::Load(0), 8))
        );
        assert_eq!(decode(&[0xC7, 0x00, 1, 0, 0, 0]), Some((Move::Value(1), 6)));
        for other in [&[0x8B, 0xC0][..], &[0x48, 0x8B, 0x07], &[0xF4], &[0x8B]] {
            assert_eq!(decode(other), None);
        }
    }
}
