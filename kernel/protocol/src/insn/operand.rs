//! The address of a memory operand. Source: APM vol. 3 (24594), 1.4 and 1.7.

use super::{Bytes, Refused, decode, prefixes};
use crate::registers::Registers;

/// Segment and address-size prefixes that change an address in 64-bit mode: FS, GS, 67.
const MOVING: [u8; 3] = [0x64, 0x65, 0x67];
const RIP_RELATIVE: u8 = 5;
const SIB: u8 = 4;

/// Linear address of the memory operand of the instruction at `bytes`, which `decode` must know.
/// Errors: as `decode`; `Prefix` for addresses that need FS, GS or 32 bits.
pub fn address(bytes: &[u8], registers: &impl Registers) -> Result<u64, Refused> {
    let length = decode(bytes)?.length;
    let mut rest = Bytes { bytes, at: 0 };
    let (found, _) = prefixes(&mut rest)?;
    if let Some(prefix) = bytes.iter().take(rest.at - 1).find(|b| MOVING.contains(b)) {
        return Err(Refused::Prefix(*prefix));
    }
    let modrm = rest.next()?;
    let (mode, rm) = (modrm >> 6, modrm & 7);
    let sib = if rm == SIB { Some(rest.next()?) } else { None };
    let low = sib.map_or(rm, |sib| sib & 7);
    let absolute = mode == 0 && low == RIP_RELATIVE;
    let base = match (absolute, sib) {
        (true, None) => registers.rip().wrapping_add(length.into()),
        (true, Some(_)) => 0,
        (false, _) => registers.register(low | (found.rex & 1) << 3),
    };
    let displacement = rest.immediate(match mode {
        0 if absolute => 4,
        0 => 0,
        1 => 1,
        _ => 4,
    })?;
    let index = sib.map_or(0, |sib| scaled(sib, found.rex, registers));
    Ok(base.wrapping_add(displacement).wrapping_add(index))
}

/// The index register times its scale; RSP stands for none.
fn scaled(sib: u8, rex: u8, registers: &impl Registers) -> u64 {
    match sib >> 3 & 7 | (rex & 2) << 2 {
        SIB => 0,
        number => registers.register(number) << (sib >> 6),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Register n holds n << 32; RIP is 0x1000.
    struct Numbered;
    impl Registers for Numbered {
        fn register(&self, number: u8) -> u64 {
            u64::from(number) << 32
        }
        fn set_register(&mut self, _: u8, _: u64) {}
        fn rip(&self) -> u64 {
            0x1000
        }
        fn set_rip(&mut self, _: u64) {}
    }

    #[test]
    fn addresses_are_those_of_the_manual() {
        let at = |bytes: &[u8]| address(bytes, &Numbered);
        // mov eax, [rdi]; [rdi - 8]; [rdi + 0x10]; [r15 + 0x10]; [rip + 0x20].
        assert_eq!(at(&[0x8B, 0x07]), Ok(7 << 32));
        assert_eq!(at(&[0x8B, 0x47, 0xF8]), Ok((7 << 32) - 8));
        assert_eq!(at(&[0x8B, 0x87, 0x10, 0, 0, 0]), Ok((7 << 32) + 0x10));
        assert_eq!(at(&[0x41, 0x8B, 0x47, 0x10]), Ok((15 << 32) + 0x10));
        assert_eq!(at(&[0x8B, 0x05, 0x20, 0, 0, 0]), Ok(0x1000 + 6 + 0x20));
        // mov [rcx + rdx * 4], eax; [rbx + r12 * 2]; [rsp]; [0x1234]; dword [rsi], 7.
        assert_eq!(at(&[0x89, 0x04, 0x91]), Ok((1 << 32) + (2 << 34)));
        assert_eq!(at(&[0x42, 0x89, 0x04, 0x63]), Ok((3 << 32) + (12 << 33)));
        assert_eq!(at(&[0x89, 0x04, 0x24]), Ok(4 << 32));
        assert_eq!(at(&[0x89, 0x04, 0x25, 0x34, 0x12, 0, 0]), Ok(0x1234));
        assert_eq!(at(&[0xC7, 0x06, 7, 0, 0, 0]), Ok(6 << 32));
        assert_eq!(at(&[0x65, 0x8B, 0x07]), Err(Refused::Prefix(0x65)));
        assert_eq!(at(&[0x8B, 0xC7]), Err(Refused::NoMemory));
    }
}
